//! Mutations, for people and for scripts.

use upwrite_control::{Client, v1};

use super::exit::Failure;
use super::page;
use super::table::{Table, one_line};
use super::when::{at, span};

const PAGE_MAX: u64 = 1_000;

/// Page by page, so that what is there is shown while the rest is read.
pub(super) async fn list(
    client: &mut Client,
    filter: v1::MutationFilter,
    limit: u64,
    json: bool,
) -> Result<(), Failure> {
    let mut left = if limit == 0 { u64::MAX } else { limit };
    let mut page_token = String::new();
    let mut rows = table();
    loop {
        let page_size = u32::try_from(left.min(PAGE_MAX)).expect("a thousand fits");
        let page = client
            .list_mutations(v1::ListMutationsRequest { filter: Some(filter.clone()), page_size, page_token })
            .await?;
        left = left.saturating_sub(u64::try_from(page.mutations.len()).unwrap_or(u64::MAX));
        if json {
            page::print(&page.mutations.iter().map(page::json).collect::<String>())?;
        } else {
            page.mutations.iter().for_each(|mutation| row(&mut rows, mutation));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() || left == 0 {
            break;
        }
    }
    if !json {
        page::print(&rows.text())?;
        if !page_token.is_empty() {
            eprintln!("there are more: --limit 0 shows all");
        }
    }
    Ok(())
}

fn table() -> Table {
    Table::new(["MUTATION", "REQUESTED", "STATE", "TABLE", "OPERATION", "ROWS", "TRIES", "TOOK", "USER", "ERROR"])
}

fn row(table: &mut Table, mutation: &v1::Mutation) {
    table.row([
        mutation.id.clone(),
        at(mutation.requested_at.as_ref()),
        mutation.state.clone(),
        format!("{}.{}", mutation.source, mutation.table),
        mutation.operation.clone(),
        mutation.row_count.to_string(),
        mutation.attempts.to_string(),
        took(mutation),
        mutation.user.clone(),
        error(mutation),
    ]);
}

/// One line of a watch.
pub(super) fn line(mutation: &v1::Mutation) -> String {
    let (table, operation) = (format!("{}.{}", mutation.source, mutation.table), &mutation.operation);
    let state = format!("{:<9}", mutation.state);
    let parts = [mutation.id.as_str(), &state, operation, &table, &took(mutation), &error(mutation)];
    let text: Vec<String> = parts.iter().filter(|part| **part != "-").map(|part| one_line(part)).collect();
    format!("{}\n", text.join("  ").trim_end())
}

/// From the request to the verdict.
fn took(mutation: &v1::Mutation) -> String {
    let (Some(from), Some(to)) = (&mutation.requested_at, &mutation.finished_at) else { return "-".to_owned() };
    span(((to.seconds - from.seconds) * 1_000 + i64::from(to.nanos - from.nanos) / 1_000_000).max(0))
}

fn error(mutation: &v1::Mutation) -> String {
    match (&mutation.sqlstate, &mutation.message) {
        (Some(sqlstate), Some(message)) => format!("{sqlstate} {message}"),
        (Some(sqlstate), None) => sqlstate.clone(),
        _ => "-".to_owned(),
    }
}

/// All there is to know of one.
pub(super) fn detail(found: &v1::GetMutationResponse) -> String {
    let Some(mutation) = &found.mutation else { return String::new() };
    let mut lines: Vec<(&str, String)> = vec![
        ("mutation", mutation.id.clone()),
        ("state", state(mutation)),
        ("what", format!("{} of {} in {}.{}", mutation.operation, rows(mutation), mutation.source, mutation.table)),
        ("keys", mutation.keys.iter().map(|key| if key.is_empty() { "-" } else { key }).collect::<Vec<_>>().join(" ")),
        ("who", format!("{} in {} ({})", mutation.user, mutation.database, mutation.application_name)),
        ("attempts", mutation.attempts.to_string()),
    ];
    let times = [
        ("requested", &mutation.requested_at),
        ("accepted", &mutation.accepted_at),
        ("attempted", &mutation.attempted_at),
        ("answered", &mutation.answered_at),
        ("finished", &mutation.finished_at),
        ("settled", &mutation.settled_at),
        ("not before", &mutation.not_before),
    ];
    lines.extend(times.into_iter().filter(|(_, time)| time.is_some()).map(|(name, time)| (name, at(time.as_ref()))));
    let texts = [
        ("sqlstate", &mutation.sqlstate),
        ("message", &mutation.message),
        ("detail", &mutation.detail),
        ("hint", &mutation.hint),
        ("upstream code", &mutation.upstream_code),
        ("upstream request", &mutation.upstream_request_id),
        ("traceparent", &mutation.traceparent),
        ("redrive of", &mutation.redrive_of),
    ];
    lines.extend(texts.into_iter().filter_map(|(name, text)| text.clone().map(|text| (name, text))));
    lines.push(("log", format!("mutations/{} from {} on", mutation.partition, mutation.position)));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let kept = lines.iter().filter(|(_, text)| !text.is_empty());
    let mut text: String = kept.map(|(name, text)| format!("{name:<width$}  {}\n", one_line(text))).collect();
    text.push('\n');
    text.push_str(&timeline(found));
    text
}

fn state(mutation: &v1::Mutation) -> String {
    let mut state = mutation.state.clone();
    for (holds, note) in [
        (mutation.revocation_requested, "withdrawal asked for"),
        (mutation.outlived_rollback, "its transaction was rolled back"),
        (mutation.finished_at.is_some() && !mutation.released, "claims are kept"),
    ] {
        if holds {
            state.push_str(", ");
            state.push_str(note);
        }
    }
    state
}

fn rows(mutation: &v1::Mutation) -> String {
    let (all, applied) = (mutation.row_count, mutation.applied_count);
    let noun = if all == 1 { "row" } else { "rows" };
    if applied == all || applied == 0 { format!("{all} {noun}") } else { format!("{all} {noun} ({applied} applied)") }
}

fn timeline(found: &v1::GetMutationResponse) -> String {
    let mut table = Table::new(["POSITION", "AT", "EVENT", "ATTEMPT", "WHAT"]);
    for event in &found.timeline {
        table.row([
            event.position.to_string(),
            at(event.at.as_ref()),
            event.event.clone(),
            event.attempt.map_or_else(|| "-".to_owned(), |attempt| attempt.to_string()),
            event.summary.clone(),
        ]);
    }
    let mut text = table.text();
    if let Some(why) = &found.incomplete {
        text.push_str(&format!("not all: {}\n", one_line(why)));
    }
    text
}

#[cfg(test)]
mod tests {
    use upwrite_control::Timestamp;

    use super::*;

    fn mutation() -> v1::Mutation {
        let time = |ms: i32| Some(Timestamp { seconds: 1_700_000_000, nanos: ms * 1_000_000 });
        v1::Mutation {
            id: "0190b0c0-0000-7000-8000-000000000001".into(),
            state: "rejected".into(),
            source: "crm".into(),
            table: "contact".into(),
            operation: "insert".into(),
            row_count: 1,
            database: "app".into(),
            user: "ada".into(),
            application_name: "psql".into(),
            attempts: 1,
            sqlstate: Some("23502".into()),
            message: Some("a name\nis needed".into()),
            requested_at: time(0),
            finished_at: time(120),
            position: 7,
            released: true,
            ..Default::default()
        }
    }

    #[test]
    fn one_mutation() {
        let event = v1::TimelineEvent {
            position: 7,
            event: "MutationRequested".into(),
            at: mutation().requested_at,
            summary: "1 row for ada in app".into(),
            ..Default::default()
        };
        let found = v1::GetMutationResponse {
            mutation: Some(mutation()),
            timeline: vec![event],
            incomplete: Some("the event log did not answer within 10 s".into()),
        };
        let expected = "\
mutation   0190b0c0-0000-7000-8000-000000000001
state      rejected
what       insert of 1 row in crm.contact
who        ada in app (psql)
attempts   1
requested  2023-11-14 22:13:20.000
finished   2023-11-14 22:13:20.120
sqlstate   23502
message    a name is needed
log        mutations/0 from 7 on

POSITION  AT                       EVENT              ATTEMPT  WHAT
       7  2023-11-14 22:13:20.000  MutationRequested  -        1 row for ada in app
not all: the event log did not answer within 10 s
";
        assert_eq!(detail(&found), expected);
    }

    #[test]
    fn a_line_of_a_watch() {
        assert_eq!(
            line(&mutation()),
            "0190b0c0-0000-7000-8000-000000000001  rejected   insert  crm.contact  120ms  23502 a name is needed\n"
        );
    }
}
