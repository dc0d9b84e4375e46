//! What can be wrong with a database that was set up, as a table: one query each, which returns one message per fault.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works, but an operator should know.
    Warning,
    /// A promise does not hold: do not start.
    Error,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// A sentence without a full stop.
    pub message: String,
    /// What to do about it, likewise.
    pub remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}.", self.message, self.remedy)
    }
}

pub(super) struct Check {
    pub(super) severity: Severity,
    pub(super) sql: &'static str,
    pub(super) remedy: &'static str,
}

pub(super) const CHECKS: &[Check] = &[
    Check {
        severity: Severity::Error,
        sql: "/* check.tables */
            select case when c.oid is null then format('synced table %I.%I is gone', t.source, t.table_name)
                        else format('synced table %I.%I %s', t.source, t.table_name, upwrite.table_problem(c.oid)) end
            from upwrite.tables t left join pg_class c on c.oid = t.relation
            where c.oid is null or upwrite.table_problem(c.oid) is not null order by 1",
        remedy: "Undo that, or run `upwrite setup` if the table was dropped",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.triggers */
            select format('trigger %I of synced table %s %s', w.name, c.oid::regclass,
                          case when g.oid is null then 'is missing' else 'is not ENABLE ALWAYS' end)
            from upwrite.tables t join pg_class c on c.oid = t.relation
            cross join (values ('upwrite_capture', 'upwrite.capture()', 29),
                               ('upwrite_nested', 'upwrite.refuse_nested()', 31),
                               ('upwrite_truncate', 'upwrite.refuse_truncate()', 34)) as w (name, function, type)
            left join pg_trigger g on g.tgrelid = t.relation and g.tgname = w.name
                 and g.tgfoid = w.function::regprocedure and g.tgtype = w.type
            where g.oid is null or g.tgenabled <> 'A' order by 1",
        remedy: "Run `upwrite setup`: until then changes of that table can get past Upwrite",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.veto */
            select 'the trigger that refuses changes made around Upwrite (upwrite.veto) is missing or not as it was'
            where not exists (select from pg_trigger g
                where g.tgrelid = 'upwrite.armed'::regclass and g.tgname = 'veto' and g.tgenabled = 'A'
                  and g.tgfoid = 'upwrite.veto()'::regprocedure and g.tgdeferrable and g.tginitdeferred)",
        remedy: "Schema upwrite was altered: set up a new database",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.track_counts */
            select 'track_counts is off' where not current_setting('track_counts')::bool",
        remedy: "Switch it on: without it statements that also write other tables go unnoticed, and nothing is vacuumed",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.table_privileges */
            select format('%s has privilege %s on synced table %s',
                          case a.grantee when 0 then 'PUBLIC' else a.grantee::regrole::text end,
                          a.privilege_type, c.oid::regclass)
            from upwrite.tables t join pg_class c on c.oid = t.relation, aclexplode(c.relacl) a
            where a.privilege_type in ('TRIGGER', 'TRUNCATE') and a.grantee <> c.relowner order by 1",
        remedy: "Revoke it: a trigger could change what capture sees",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.own_tables */
            select format('%s has privilege %s on %s',
                          case a.grantee when 0 then 'PUBLIC' else a.grantee::regrole::text end,
                          a.privilege_type, c.oid::regclass)
            from pg_class c, aclexplode(c.relacl) a
            where c.relnamespace = 'upwrite'::regnamespace and a.grantee <> c.relowner
              and (c.relname in ('captured', 'armed', 'secrets')
                   or a.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
                      and (a.grantee = 0 or a.grantee::regrole::text not in ('upwrite_service', 'upwrite_reconciler')))
            union all
            select format('%s may create objects in schema upwrite',
                          case a.grantee when 0 then 'PUBLIC' else a.grantee::regrole::text end)
            from pg_namespace n, aclexplode(n.nspacl) a
            where n.nspname = 'upwrite' and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner order by 1",
        remedy: "Revoke it: these are Upwrite's own",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.definers */
            select format('function %s runs with its owner''s rights, but %s', p.oid::regprocedure,
                          case when r.rolname = 'upwrite_owner' or r.rolsuper then 'without a fixed search_path'
                               else 'does not belong to upwrite_owner' end)
            from pg_proc p join pg_roles r on r.oid = p.proowner
            where p.pronamespace = 'upwrite'::regnamespace and p.prosecdef
              and (not (r.rolname = 'upwrite_owner' or r.rolsuper)
                   or not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)) order by 1",
        remedy: "Schema upwrite was altered: set up a new database",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.reconciler */
            select format('role upwrite_reconciler lacks %s', v.what) from (values
                ('LOGIN', exists (select from pg_roles where rolname = 'upwrite_reconciler' and rolcanlogin)),
                ('BYPASSRLS', exists (select from pg_roles where rolname = 'upwrite_reconciler' and rolbypassrls)),
                ('NOINHERIT', exists (select from pg_roles where rolname = 'upwrite_reconciler' and not rolinherit)),
                ('membership in upwrite_owner', pg_has_role('upwrite_reconciler', 'upwrite_owner', 'member')),
                ('session_replication_role = replica', exists (
                    select from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
                    where r.rolname = 'upwrite_reconciler' and s.setdatabase = 0
                      and 'session_replication_role=replica' = any (s.setconfig)))) as v (what, holds)
            where not v.holds",
        remedy: "Run `upwrite setup`",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.members */
            select format('role %I is a member of %I', m.rolname, r.rolname)
            from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
            where r.rolname in ('upwrite_owner', 'upwrite_reconciler', 'upwrite_service') and not m.rolsuper
              and not (r.rolname = 'upwrite_owner' and m.rolname = 'upwrite_reconciler') -- for VACUUM
            order by 1",
        remedy: "Revoke it: that role can change synced tables past Upwrite",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.forced_row_security */
            select format('row security is forced on synced table %s', c.oid::regclass)
            from upwrite.tables t join pg_class c on c.oid = t.relation where c.relforcerowsecurity order by 1",
        remedy: "ALTER TABLE … NO FORCE ROW LEVEL SECURITY: else the version check finds no rows. Ordinary row security is fine",
    },
    Check {
        severity: Severity::Warning,
        sql: "/* check.createrole */
            select format('role %I has CREATEROLE: before PostgreSQL 16 it can make itself a member of upwrite_owner', rolname)
            from pg_roles
            where rolcreaterole and not rolsuper and current_setting('server_version_num')::int < 160000 order by 1",
        remedy: "Take it away from roles that applications use, or move to PostgreSQL 16",
    },
    Check {
        severity: Severity::Warning,
        sql: "/* check.user_triggers */
            select format('trigger %I of synced table %s runs when Upwrite writes what upstream says', g.tgname, c.oid::regclass)
            from upwrite.tables t join pg_class c on c.oid = t.relation join pg_trigger g on g.tgrelid = c.oid
            where not g.tgisinternal and g.tgenabled in ('A', 'R') and g.tgname not like 'upwrite\\_%' order by 1",
        remedy: "That may be meant: it sees every change, but must not change what it sees",
    },
];
