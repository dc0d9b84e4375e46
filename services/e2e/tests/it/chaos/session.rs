//! One client of the load: random statements, and what it was told of each.

use std::sync::Arc;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::watch;

/// What a client was told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    Done,
    /// A definite failure: not applied.
    Failed(String),
    /// 40003, or the connection broke before an answer.
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Statement {
    /// A contact with this e-mail address, which no other statement uses.
    Insert(String),
    /// This title, which no other statement uses, on a contact.
    Update(String),
    Delete(String),
    /// One more on a deal that all sessions share.
    Increment(String),
}

pub(super) struct Session {
    number: u64,
    random: StdRng,
    url: String,
    deals: Arc<Vec<String>>,
    /// Contacts that this session made and knows of.
    contacts: Vec<String>,
    told: Vec<(Statement, Told)>,
    /// How many statements of all sessions succeeded.
    done: Arc<watch::Sender<u64>>,
}

impl Session {
    pub(super) fn new(
        number: u64,
        seed: u64,
        url: String,
        deals: Arc<Vec<String>>,
        done: Arc<watch::Sender<u64>>,
    ) -> Self {
        let random = StdRng::seed_from_u64(seed.wrapping_add(number + 1));
        Self { number, random, url, deals, contacts: vec![], told: vec![], done }
    }

    /// Until stopped: connects, works until the connection breaks, connects again.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Vec<(Statement, Told)> {
        let mut count = 0;
        while !*stop.borrow() {
            let Ok((client, connection)) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await else {
                // Upwrite is down: try again a little later, or stop.
                let _stopped = tokio::time::timeout(Duration::from_millis(20), stop.changed()).await;
                continue;
            };
            tokio::spawn(connection);
            while !*stop.borrow() && !client.is_closed() {
                count += 1;
                let statement = self.choose(count);
                let told = self.tell(&client, &statement).await;
                if told == Told::Done {
                    self.done.send_modify(|count| *count += 1);
                }
                self.told.push((statement, told));
            }
        }
        self.told
    }

    fn choose(&mut self, count: u64) -> Statement {
        let token = format!("s{}-{count}", self.number);
        match self.random.random_range(0..10) {
            0..4 => Statement::Insert(format!("{token}@chaos.example")),
            4..6 if !self.contacts.is_empty() => Statement::Update(token),
            6 if self.contacts.len() > 3 => {
                let index = self.random.random_range(0..self.contacts.len());
                Statement::Delete(self.contacts.swap_remove(index))
            }
            _ => Statement::Increment(self.deals[self.random.random_range(0..self.deals.len())].clone()),
        }
    }

    async fn tell(&mut self, client: &tokio_postgres::Client, statement: &Statement) -> Told {
        let answer = match statement {
            Statement::Insert(email) => {
                let sql = "insert into salesforce.contact (last_name, email) values ('Chaos', $1) returning id";
                client.query_one(sql, &[email]).await.map(|row| {
                    self.contacts.push(row.get(0));
                    1
                })
            }
            Statement::Update(title) => {
                let id = self.contacts[self.random.random_range(0..self.contacts.len())].clone();
                client.execute("update salesforce.contact set title = $2 where id = $1", &[&id, title]).await
            }
            Statement::Delete(id) => client.execute("delete from salesforce.contact where id = $1", &[id]).await,
            Statement::Increment(id) => {
                client.execute("update salesforce.opportunity set amount = amount + 1 where id = $1", &[id]).await
            }
        };
        match answer {
            Ok(1) => Told::Done,
            Ok(rows) => Told::Failed(format!("{rows} rows")),
            Err(error) => match error.code().map(|code| code.code()) {
                // The connection broke, or Upwrite went away: whether it happened is for upwrite.mutations to say.
                None | Some("40003" | "57P01" | "57P03" | "08006") => Told::Unknown,
                Some(code) => Told::Failed(code.to_owned()),
            },
        }
    }
}
