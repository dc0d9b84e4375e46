//! `upwrite.mutations` as the log has it: as SQL over the folded statuses.

use crate::mutation_columns::{FIELDS, names, values};

/// Folded statuses: `id`, `n` (the latest counts), `status` (as `finish.sql` reads it).
pub(super) const STATUSES: &str = "upwrite_statuses";
/// Mutations of which the log says after their end that they outlived a rollback.
pub(super) const OUTLIVED: &str = "upwrite_outlived";

/// Rows as they should be, and whether the mutation is `finished`, `released`, `settled`. `only`: SQL about `s.id`.
/// Parked images hold these three back, as in the reconciler.
pub(super) fn expected(only: &str) -> String {
    format!(
        "select x.id, {values},
                x.finished and p.mutation is null as finished, x.released and p.mutation is null as released,
                x.state = 'voided' or x.released and p.mutation is null as settled
           from (select distinct on (s.id) s.id, s.status from {STATUSES} s where {only} order by s.id, s.n desc) latest
           left join (select distinct id from {OUTLIVED}) o on o.id = latest.id
          cross join lateral jsonb_to_record(case when o.id is null then latest.status
                                                  else latest.status || '{{\"outlived_rollback\": true}}' end)
               as x ({FIELDS})
           left join (select distinct mutation from upwrite.parked) p on p.mutation = x.id",
        values = values(),
    )
}

/// Ids of mutations that are not as expected. `complete`: what the log does not know should not be there.
pub(super) fn differing(complete: bool) -> String {
    let compared = |of: &str| {
        // `lifecycle` without what depends on when the reconciler looked.
        let columns = names().map(|column| match column {
            "lifecycle" => format!("{of}.lifecycle - 'outlived_rollback'"),
            column => format!("{of}.{column}"),
        });
        columns.collect::<Vec<_>>().join(", ")
    };
    let unknown = if complete { "or e.id is null" } else { "" };
    format!(
        "/* rebuild.differing */ select coalesce(e.id, m.id)
           from ({}) e full join upwrite.mutations m on m.id = e.id
          where m.id is null {unknown} or e.id is not null and (
                row({}) is distinct from row({})
                or e.finished <> (m.finished_at is not null) or e.settled <> (m.settled_at is not null)
                or e.state <> 'voided' and e.released <> m.released)",
        expected("true"),
        compared("e"),
        compared("m")
    )
}

/// Puts right the mutations in `$1`. Times that only the reconciler's clock knew are kept, or come from the outcome's.
pub(super) fn mend() -> String {
    let sets: Vec<String> = names().map(|column| format!("{column} = excluded.{column}")).collect();
    let columns = names().map(|column| format!("e.{column}")).collect::<Vec<_>>().join(", ");
    format!(
        "/* rebuild.mend_mutations */
         insert into upwrite.mutations as m (id, {}, finished_at, settled_at, released)
         select e.id, {columns},
                case when e.finished then coalesce(e.answered_at, e.accepted_at, e.requested_at) end,
                case when e.settled then coalesce(e.answered_at, e.accepted_at, e.requested_at) end,
                e.released and e.state <> 'voided'
           from ({}) e
         on conflict (id) do update set {},
                finished_at = case when excluded.finished_at is not null
                                   then coalesce(m.finished_at, excluded.finished_at) end,
                settled_at = case when excluded.settled_at is not null
                                  then coalesce(m.settled_at, excluded.settled_at) end,
                released = excluded.released or excluded.state = 'voided' and m.released",
        names().collect::<Vec<_>>().join(", "),
        expected("s.id = any($1)"),
        sets.join(", ")
    )
}

pub(super) const REMOVE: &str = "/* rebuild.remove_mutations */
    delete from upwrite.mutations m
     where m.id = any($1) and not exists (select from upwrite_statuses s where s.id = m.id)";
