//! The entries and the idempotency keys, without any I/O. One caller at a time (a mutex outside).

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use upwrite_sandbox::{Change, Effect, EffectOp, Journal, unix_ms};

use super::fields::{COLLECTION, FIELDS, Kind, Sent, missing, values};
use super::problem::Problem;

/// Idempotency keys remembered; when more come, the oldest is forgotten.
const MOST_KEYS: usize = 100_000;

pub(super) type Record = Map<String, Value>;

/// On whose behalf a change is made.
#[derive(Clone, Copy)]
pub(super) struct Actor<'a> {
    pub(super) journal: &'a Journal,
    /// Number of the request; none for a third party.
    pub(super) request: Option<u64>,
    pub(super) idempotency_key: Option<&'a str>,
}

/// The first answer to a create.
#[derive(Debug)]
struct Created {
    key: String,
    /// What was sent, as text by field.
    sent: BTreeMap<String, String>,
    record: Record,
}

#[derive(Debug, Default)]
pub(super) struct Books {
    last_id: i64,
    entries: BTreeMap<i64, Record>,
    /// Which key an entry was created with.
    keys: BTreeMap<i64, String>,
    /// Oldest first.
    created: VecDeque<Created>,
}

impl Books {
    pub(super) fn all(&self) -> impl Iterator<Item = &Record> {
        self.entries.values()
    }

    pub(super) fn get(&self, id: i64) -> Option<&Record> {
        self.entries.get(&id)
    }

    /// At most `limit` entries with a greater id, and whether there are more.
    pub(super) fn after(&self, id: i64, limit: usize) -> (Vec<&Record>, Option<i64>) {
        let mut rest = self.entries.range(id.saturating_add(1)..);
        let page: Vec<(&i64, &Record)> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(page.last()).map(|(id, _)| **id);
        (page.into_iter().map(|(_, record)| record).collect(), next)
    }

    /// The record, and whether it was there already under this key.
    pub(super) fn create(&mut self, actor: Actor<'_>, sent: &Sent) -> Result<(Record, bool), Problem> {
        let as_text: BTreeMap<String, String> =
            sent.iter().map(|(name, raw)| (name.clone(), raw.get().to_owned())).collect();
        if let Some(first) = self.created.iter().find(|c| Some(c.key.as_str()) == actor.idempotency_key) {
            if first.sent != as_text {
                return Err(Problem::new(409, "key-reused", "this key was used for another entry"));
            }
            return Ok((first.record.clone(), true));
        }
        let mut values = values(sent)?;
        if let Some(field) = FIELDS.iter().find(|f| f.required && !values.contains_key(f.name)) {
            return Err(missing().on(field.name));
        }
        let id = self.last_id + 1;
        self.check_unique(id, &values)?;
        let now = OffsetDateTime::now_utc();
        values.insert("id".to_owned(), json!(id));
        values.insert("created_at".to_owned(), json!(now.format(&Rfc3339).unwrap_or_default()));
        values.insert("revision".to_owned(), json!(1));
        let record: Record = FIELDS
            .iter()
            .map(|field| {
                let default = if field.kind == Kind::Boolean { json!(false) } else { Value::Null };
                (field.name.to_owned(), values.remove(field.name).unwrap_or(default))
            })
            .collect();
        self.last_id = id;
        if let Some(key) = actor.idempotency_key {
            if self.created.len() == MOST_KEYS {
                self.created.pop_front();
            }
            self.created.push_back(Created { key: key.to_owned(), sent: as_text, record: record.clone() });
            self.keys.insert(id, key.to_owned());
        }
        self.entries.insert(id, record.clone());
        self.write_down(actor, EffectOp::Create, id, &Record::new(), &record);
        Ok((record, false))
    }

    pub(super) fn update(&mut self, actor: Actor<'_>, id: i64, sent: &Sent) -> Result<Record, Problem> {
        let before = self.entries.get(&id).cloned().ok_or_else(Problem::not_found)?;
        let values = values(sent)?;
        self.check_unique(id, &values)?;
        let mut after = before.clone();
        after.extend(values);
        after["revision"] = json!(before["revision"].as_i64().unwrap_or_default() + 1);
        self.entries.insert(id, after.clone());
        self.write_down(actor, EffectOp::Update, id, &before, &after);
        Ok(after)
    }

    pub(super) fn delete(&mut self, actor: Actor<'_>, id: i64) -> Result<(), Problem> {
        let before = self.entries.remove(&id).ok_or_else(Problem::not_found)?;
        self.write_down(actor, EffectOp::Delete, id, &before, &Record::new());
        Ok(())
    }

    fn check_unique(&self, id: i64, values: &Record) -> Result<(), Problem> {
        for field in FIELDS.iter().filter(|field| field.unique) {
            let folded = |record: &Record| record.get(field.name).and_then(Value::as_str).map(str::to_lowercase);
            let Some(wanted) = folded(values) else {
                continue;
            };
            if self.entries.iter().any(|(other, record)| *other != id && folded(record).as_ref() == Some(&wanted)) {
                return Err(Problem::new(409, "not-unique", "another entry has this value").on(field.name));
            }
        }
        Ok(())
    }

    /// Into the journal, without the fields that Ledger itself sets.
    fn write_down(&self, actor: Actor<'_>, op: EffectOp, id: i64, before: &Record, after: &Record) {
        let value = |record: &Record, name: &str| record.get(name).cloned().unwrap_or_default();
        let changes = FIELDS
            .iter()
            .filter(|field| field.writable)
            .map(|f| (f.name.to_owned(), Change { before: value(before, f.name), after: value(after, f.name) }))
            .filter(|(_, change)| change.before != change.after)
            .collect();
        actor.journal.push(Effect {
            seq: 0,
            at_ms: unix_ms(OffsetDateTime::now_utc()),
            op,
            object: COLLECTION.to_owned(),
            id: id.to_string(),
            key: self.keys.get(&id).cloned(),
            changes,
            request: actor.request,
            user: if actor.request.is_some() { "api" } else { "colleague" }.to_owned(),
        });
    }

    pub(super) fn save(&self) -> Value {
        let created: Vec<Value> =
            self.created.iter().map(|c| json!({ "key": c.key, "sent": c.sent, "record": c.record })).collect();
        let keys: BTreeMap<String, &String> = self.keys.iter().map(|(id, key)| (id.to_string(), key)).collect();
        json!({ "last_id": self.last_id, "entries": self.all().collect::<Vec<_>>(), "keys": keys, "created": created })
    }

    /// What `save` gave; members of another shape are left out.
    pub(super) fn load(saved: &Value) -> Self {
        let list = |name: &str| saved[name].as_array().into_iter().flatten();
        let records = list("entries").filter_map(Value::as_object);
        Self {
            last_id: saved["last_id"].as_i64().unwrap_or_default(),
            entries: records.filter_map(|record| Some((record.get("id")?.as_i64()?, record.clone()))).collect(),
            keys: saved["keys"]
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(id, key)| Some((id.parse().ok()?, key.as_str()?.to_owned())))
                .collect(),
            created: list("created")
                .filter_map(|c| {
                    let texts = c["sent"].as_object()?.iter();
                    Some(Created {
                        key: c["key"].as_str()?.to_owned(),
                        sent: texts.filter_map(|(n, v)| Some((n.clone(), v.as_str()?.to_owned()))).collect(),
                        record: c["record"].as_object()?.clone(),
                    })
                })
                .collect(),
        }
    }
}
