//! Compares what clients were told with what really happened.

use std::collections::{BTreeMap, HashMap, HashSet};

use upwrite_e2e::Site;
use upwrite_sandbox::{Effect, EffectOp};

use super::session::{Statement, Told};

pub(super) async fn judge(world: &Site, told: &[(Statement, Told)], kills: u64) {
    let effects = world.sandbox.journal(0).await.unwrap();
    let mut faults = Vec::new();
    statements(told, &effects, &mut faults);
    increments(&effects, &mut faults);
    projection(world, &effects, &mut faults).await;
    tables(world, &mut faults).await;
    let count = |wanted: fn(&Told) -> bool| told.iter().filter(|(_, told)| wanted(told)).count();
    super::say(&format!(
        "{} statements: {} done, {} refused, {} unknown; {} effects upstream",
        told.len(),
        count(|told| *told == Told::Done),
        count(|told| matches!(told, Told::Failed(_))),
        count(|told| *told == Told::Unknown),
        effects.len()
    ));
    let refused: BTreeMap<&str, usize> = told.iter().fold(BTreeMap::new(), |mut codes, (_, told)| {
        if let Told::Failed(code) = told {
            *codes.entry(code.as_str()).or_default() += 1;
        }
        codes
    });
    super::say(&format!("refusals by SQLSTATE: {refused:?}"));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(count(|told| *told == Told::Done) as u64 > kills, "hardly anything was done: the run shows nothing");
}

/// Every verdict against the journal.
fn statements(told: &[(Statement, Told)], effects: &[Effect], faults: &mut Vec<String>) {
    let mut created: HashMap<&str, usize> = HashMap::new();
    let mut titled: HashMap<&str, usize> = HashMap::new();
    let mut deleted: HashMap<&str, usize> = HashMap::new();
    for effect in effects {
        let after =
            |field: &str| effect.changes.get(field).filter(|change| change.before != change.after)?.after.as_str();
        match effect.op {
            EffectOp::Create => *created.entry(after("Email").unwrap_or("")).or_default() += 1,
            EffectOp::Update => *titled.entry(after("Title").unwrap_or("")).or_default() += 1,
            EffectOp::Delete => *deleted.entry(&effect.id).or_default() += 1,
            EffectOp::Undelete => {}
        }
    }
    for (statement, told) in told {
        let happened = match statement {
            Statement::Insert(email) => created.get(email.as_str()),
            Statement::Update(title) => titled.get(title.as_str()),
            Statement::Delete(id) => deleted.get(id.as_str()),
            Statement::Increment(_) => continue,
        };
        let happened = happened.copied().unwrap_or(0);
        match told {
            Told::Done if happened == 0 => faults.push(format!("acknowledged, but missing: {statement:?}")),
            Told::Failed(code) if happened > 0 => faults.push(format!("told {code}, but applied: {statement:?}")),
            _ if happened > 1 => faults.push(format!("applied {happened} times: {statement:?}")),
            _ => {}
        }
    }
    increments_told(told, effects, faults);
}

/// Increments: as many as were acknowledged, at most the unknown ones more.
fn increments_told(told: &[(Statement, Told)], effects: &[Effect], faults: &mut Vec<String>) {
    let mut done: HashMap<&str, (usize, usize)> = HashMap::new();
    for (statement, told) in told {
        if let Statement::Increment(deal) = statement {
            let (sure, unknown) = done.entry(deal).or_default();
            *sure += usize::from(*told == Told::Done);
            *unknown += usize::from(*told == Told::Unknown);
        }
    }
    for (deal, (sure, unknown)) in done {
        let steps = amounts(effects, deal).len().saturating_sub(1);
        if steps < sure || steps > sure + unknown {
            faults.push(format!("{deal}: {steps} increments upstream, {sure} acknowledged and {unknown} unknown"));
        }
    }
}

fn amounts(effects: &[Effect], deal: &str) -> Vec<f64> {
    let of_deal = effects.iter().filter(|effect| effect.id == deal);
    let changed =
        of_deal.filter_map(|effect| effect.changes.get("Amount").filter(|change| change.before != change.after));
    changed.filter_map(|change| change.after.as_f64()).collect()
}

/// Upstream every deal went up by exactly one at a time: no update was lost, none came late, none came twice.
fn increments(effects: &[Effect], faults: &mut Vec<String>) {
    let deals: HashSet<&str> =
        effects.iter().filter(|effect| effect.object == "Opportunity").map(|effect| effect.id.as_str()).collect();
    for deal in deals {
        let amounts = amounts(effects, deal);
        for pair in amounts.windows(2) {
            if pair[1] != pair[0] + 1.0 {
                faults.push(format!("{deal}: from {} to {}", pair[0], pair[1]));
            }
        }
    }
}

/// What `upwrite.mutations` says was created, against the journal; and nothing is left open.
async fn projection(world: &Site, effects: &[Effect], faults: &mut Vec<String>) {
    let created: HashSet<&str> =
        effects.iter().filter(|effect| effect.op == EffectOp::Create).map(|effect| effect.id.as_str()).collect();
    let sql = "select coalesce(array_agg(key), '{}') from upwrite.mutations, unnest(keys) key \
               where operation = 'insert' and key is not null";
    let known: Vec<String> = world.value(sql).await.unwrap();
    let known: HashSet<&str> = known.iter().map(String::as_str).collect();
    for id in created.symmetric_difference(&known) {
        let told = history(world, effects, id).await;
        faults.push(format!("{id}: the journal and upwrite.mutations do not agree that it was created: {told}"));
    }
    let sql = "select count(*) from upwrite.mutations where state in ('requested', 'attempted', 'deferred', 'in_doubt', 'partial')";
    let open: i64 = world.value(sql).await.unwrap();
    if open > 0 {
        faults.push(format!("{open} mutations without an outcome"));
    }
}

/// What the log and the projection have of the mutation that created this record.
async fn history(world: &Site, effects: &[Effect], id: &str) -> String {
    let created = effects.iter().find(|effect| effect.op == EffectOp::Create && effect.id == id);
    let Some(mutation) = created.and_then(|effect| effect.key.as_deref()?.rsplit_once('-')).map(|(id, _)| id) else {
        return "its key names no mutation".to_owned();
    };
    let sql = format!(
        "select coalesce((select string_agg(format('%s/%s %s at %s', partition, position, event, appended_at), '; '
                                            order by partition, position)
                            from upwrite.log where mutation = '{mutation}'
                              or event like 'Partition%' and partition = (select min(partition) from upwrite.log
                                                                           where mutation = '{mutation}')), 'not in the log')
             || coalesce((select ' -> ' || row_to_json(m) from upwrite.mutations m where id = '{mutation}'), ' -> no row')"
    );
    format!("mutation {mutation}: {}", world.value::<String>(&sql).await.unwrap_or_default())
}

/// Table = upstream, record by record.
async fn tables(world: &Site, faults: &mut Vec<String>) {
    for (object, table, fields) in [
        ("Contact", "contact", [("Email", "email"), ("Title", "title"), ("LastName", "last_name")]),
        (
            "Opportunity",
            "opportunity",
            [("Name", "name"), ("StageName", "stage_name"), ("Amount", "trim_scale(amount)")],
        ),
    ] {
        let columns: Vec<&str> = fields.iter().map(|(_, column)| *column).collect();
        let sql = format!(
            "select coalesce(array_agg(concat_ws('|', id, {}) order by id), '{{}}') from salesforce.{table}",
            columns.iter().map(|column| format!("coalesce({column}::text, '-')")).collect::<Vec<_>>().join(", ")
        );
        let held: HashSet<String> = world.value::<Vec<String>>(&sql).await.unwrap().into_iter().collect();
        let upstream: HashSet<String> =
            world.sandbox.records(object).await.unwrap().iter().map(|record| line(record, &fields)).collect();
        for line in held.symmetric_difference(&upstream) {
            let place = if held.contains(line) { "in the table" } else { "upstream" };
            let id = line.split('|').next().unwrap_or_default();
            faults.push(format!("{table} and upstream differ: only {place}: {line}; {}", known(world, id).await));
        }
    }
}

/// What Upwrite knows of a record.
async fn known(world: &Site, id: &str) -> String {
    let sql = format!(
        "select coalesce((select row_to_json(r)::text from upwrite.records r where key = '{id}'), 'no record')
             || coalesce((select string_agg(format(' %s %s %s-%s', m.operation, m.state, m.answered_at, m.settled_at), ';'
                                            order by m.answered_at)
                            from upwrite.mutations m where '{id}' = any(m.keys)), ' no mutation')"
    );
    world.value::<String>(&sql).await.unwrap_or_default()
}

fn line(record: &serde_json::Value, fields: &[(&str, &str)]) -> String {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string().trim_end_matches(".0").to_owned(),
    };
    let mut parts = vec![text(&record["Id"])];
    parts.extend(fields.iter().map(|(field, _)| text(&record[*field])));
    parts.join("|")
}
