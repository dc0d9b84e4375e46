//! What can be wrong with a database that was set up, as a table: one query each, which returns one message per fault.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works, but somebody should know.
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
            SELECT CASE WHEN c.oid IS NULL THEN format('synced table %I.%I is gone', t.source, t.table_name)
                        ELSE format('synced table %I.%I %s', t.source, t.table_name, upwrite.table_problem(c.oid)) END
            FROM upwrite.tables t LEFT JOIN pg_class c ON c.oid = t.relation
            WHERE c.oid IS NULL OR upwrite.table_problem(c.oid) IS NOT NULL ORDER BY 1",
        remedy: "Undo that, or run `upwrite setup` if the table was dropped",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.triggers */
            SELECT format('trigger %I of synced table %s %s', w.name, c.oid::regclass,
                          CASE WHEN g.oid IS NULL THEN 'is missing' ELSE 'is not ENABLE ALWAYS' END)
            FROM upwrite.tables t JOIN pg_class c ON c.oid = t.relation
            CROSS JOIN (VALUES ('upwrite_capture', 'upwrite.capture()', 29),
                               ('upwrite_nested', 'upwrite.refuse_nested()', 31),
                               ('upwrite_truncate', 'upwrite.refuse_truncate()', 34)) AS w (name, function, type)
            LEFT JOIN pg_trigger g ON g.tgrelid = t.relation AND g.tgname = w.name
                 AND g.tgfoid = w.function::regprocedure AND g.tgtype = w.type
            WHERE g.oid IS NULL OR g.tgenabled <> 'A' ORDER BY 1",
        remedy: "Run `upwrite setup`: until then changes of that table can get past Upwrite",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.veto */
            SELECT 'the trigger that refuses changes made around Upwrite (upwrite.veto) is missing or not as it was'
            WHERE NOT EXISTS (SELECT FROM pg_trigger g
                WHERE g.tgrelid = 'upwrite.armed'::regclass AND g.tgname = 'veto' AND g.tgenabled = 'A'
                  AND g.tgfoid = 'upwrite.veto()'::regprocedure AND g.tgdeferrable AND g.tginitdeferred)",
        remedy: "Somebody altered schema upwrite: set the database up anew",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.track_counts */
            SELECT 'track_counts is off' WHERE NOT current_setting('track_counts')::bool",
        remedy: "Switch it on: without it statements that also write other tables go unnoticed, and nothing is vacuumed",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.table_privileges */
            SELECT format('%s has privilege %s on synced table %s',
                          CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
                          a.privilege_type, c.oid::regclass)
            FROM upwrite.tables t JOIN pg_class c ON c.oid = t.relation, aclexplode(c.relacl) a
            WHERE a.privilege_type IN ('TRIGGER', 'TRUNCATE') AND a.grantee <> c.relowner ORDER BY 1",
        remedy: "Revoke it: a trigger could change what capture sees",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.own_tables */
            SELECT format('%s has privilege %s on %s',
                          CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
                          a.privilege_type, c.oid::regclass)
            FROM pg_class c, aclexplode(c.relacl) a
            WHERE c.relnamespace = 'upwrite'::regnamespace AND a.grantee <> c.relowner
              AND (c.relname IN ('captured', 'armed', 'secrets')
                   OR a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
                      AND (a.grantee = 0 OR a.grantee::regrole::text NOT IN ('upwrite_service', 'upwrite_reconciler')))
            UNION ALL
            SELECT format('%s may create objects in schema upwrite',
                          CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END)
            FROM pg_namespace n, aclexplode(n.nspacl) a
            WHERE n.nspname = 'upwrite' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner ORDER BY 1",
        remedy: "Revoke it: these are Upwrite's own",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.definers */
            SELECT format('function %s runs with its owner''s rights, but %s', p.oid::regprocedure,
                          CASE WHEN r.rolname = 'upwrite_owner' OR r.rolsuper THEN 'without a fixed search_path'
                               ELSE 'does not belong to upwrite_owner' END)
            FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
            WHERE p.pronamespace = 'upwrite'::regnamespace AND p.prosecdef
              AND (NOT (r.rolname = 'upwrite_owner' OR r.rolsuper)
                   OR NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)) ORDER BY 1",
        remedy: "Somebody altered schema upwrite: set the database up anew",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.reconciler */
            SELECT format('role upwrite_reconciler lacks %s', v.what) FROM (VALUES
                ('LOGIN', EXISTS (SELECT FROM pg_roles WHERE rolname = 'upwrite_reconciler' AND rolcanlogin)),
                ('BYPASSRLS', EXISTS (SELECT FROM pg_roles WHERE rolname = 'upwrite_reconciler' AND rolbypassrls)),
                ('NOINHERIT', EXISTS (SELECT FROM pg_roles WHERE rolname = 'upwrite_reconciler' AND NOT rolinherit)),
                ('membership in upwrite_owner', pg_has_role('upwrite_reconciler', 'upwrite_owner', 'member')),
                ('session_replication_role = replica', EXISTS (
                    SELECT FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
                    WHERE r.rolname = 'upwrite_reconciler' AND s.setdatabase = 0
                      AND 'session_replication_role=replica' = ANY (s.setconfig)))) AS v (what, holds)
            WHERE NOT v.holds",
        remedy: "Run `upwrite setup`",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.members */
            SELECT format('role %I is a member of %I', m.rolname, r.rolname)
            FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
            WHERE r.rolname IN ('upwrite_owner', 'upwrite_reconciler', 'upwrite_service') AND NOT m.rolsuper
              AND NOT (r.rolname = 'upwrite_owner' AND m.rolname = 'upwrite_reconciler') -- for VACUUM
            ORDER BY 1",
        remedy: "Revoke it: that role can change synced tables past Upwrite",
    },
    Check {
        severity: Severity::Error,
        sql: "/* check.forced_row_security */
            SELECT format('row security is forced on synced table %s', c.oid::regclass)
            FROM upwrite.tables t JOIN pg_class c ON c.oid = t.relation WHERE c.relforcerowsecurity ORDER BY 1",
        remedy: "ALTER TABLE … NO FORCE ROW LEVEL SECURITY: else the version check finds no rows. Ordinary row security is fine",
    },
    Check {
        severity: Severity::Warning,
        sql: "/* check.createrole */
            SELECT format('role %I has CREATEROLE: before PostgreSQL 16 it can make itself a member of upwrite_owner', rolname)
            FROM pg_roles
            WHERE rolcreaterole AND NOT rolsuper AND current_setting('server_version_num')::int < 160000 ORDER BY 1",
        remedy: "Take it away from roles that applications use, or move to PostgreSQL 16",
    },
    Check {
        severity: Severity::Warning,
        sql: "/* check.user_triggers */
            SELECT format('trigger %I of synced table %s runs when Upwrite writes what upstream says', g.tgname, c.oid::regclass)
            FROM upwrite.tables t JOIN pg_class c ON c.oid = t.relation JOIN pg_trigger g ON g.tgrelid = c.oid
            WHERE NOT g.tgisinternal AND g.tgenabled IN ('A', 'R') AND g.tgname NOT LIKE 'upwrite\\_%' ORDER BY 1",
        remedy: "That may be meant: it sees every change, but must not change what it sees",
    },
];
