//! A12, A13, A14: images depend on the row alone.

use crate::database::{Database, table};

/// Column, type, value: what follows a session's settings, or is easily lost on the way.
const VALUES: [(&str, &str, &str); 27] = [
    ("c_daterange", "daterange", "'[2024-01-31,2024-02-10)'"),
    ("c_tstzrange", "tstzrange", "tstzrange('2024-01-31 10:00+02', 'infinity')"),
    ("c_float8", "double precision", "0.1::float8 + 0.2::float8"),
    ("c_float8_nan", "double precision", "'NaN'"),
    ("c_float8_inf", "double precision", "'-infinity'"),
    ("c_float4", "real", "1.0/3"),
    ("c_interval", "interval", "'-1 year 2 mons -3 days 04:05:06.789'"),
    ("c_json", "json", "'null'"),
    ("c_json_text", "json", "'{\"b\": 1,  \"a\": \"é,\\\"\"}'"),
    ("c_jsonb", "jsonb", "'{\"b\": 1.50, \"a\": null}'"),
    ("c_array", "integer[]", "'[2:3]={1,2}'"),
    ("c_text_array", "text[]", "array['a,b', null, '\"', '{}', '']"),
    ("c_numeric", "numeric", "'NaN'"),
    ("c_numeric_scale", "numeric(18,2)", "1234567.5"),
    ("c_timestamptz", "timestamp with time zone", "'2024-02-03 04:05:06.789012+05:30'"),
    ("c_timestamp_bc", "timestamp without time zone", "'0044-03-15 12:00:00 BC'"),
    ("c_date", "date", "'2024-02-03'"),
    ("c_date_inf", "date", "'infinity'"),
    ("c_timetz", "time with time zone", "'04:05:06+05:30'"),
    ("c_money", "money", "'$1,234.56'::text::money"),
    ("c_char", "\"char\"", "'x'"),
    ("c_bytea", "bytea", "'\\xdeadbeef00'::bytea"),
    ("c_text", "text", "E'漢字, \"quoted\" \\\\ \\n(x)'"),
    ("c_empty", "text", "''"),
    ("c_null", "text", "null"),
    ("c_bool", "boolean", "true"),
    ("c_uuid", "uuid", "'00000000-0000-0000-0000-00000000000f'"),
];

const SETTINGS: [&str; 3] = [
    "",
    "SET datestyle = 'SQL, DMY'; SET TimeZone = 'Asia/Kolkata'; SET extra_float_digits = 0;
     SET intervalstyle = sql_standard; SET bytea_output = escape",
    "SET datestyle = 'German'; SET TimeZone = 'America/St_Johns'; SET extra_float_digits = -15;
     SET intervalstyle = iso_8601; SET lc_monetary = 'C.UTF-8'; SET quote_all_identifiers = on; SET xmlbinary = hex",
];

const FIXED: &str = "SET datestyle = 'ISO, YMD'; SET intervalstyle = postgres; SET timezone = 'UTC';
     SET extra_float_digits = 1; SET bytea_output = hex; SET lc_monetary = 'C'";

#[tokio::test]
async fn a12_the_image_is_the_row_whatever_the_settings() {
    let columns: Vec<(&str, &str)> = VALUES.iter().map(|(name, sql_type, _)| (*name, *sql_type)).collect();
    let database = Database::with(&[table("everything", &columns)]).await;
    let names: Vec<&str> = VALUES.iter().map(|(name, ..)| *name).collect();
    let values: Vec<&str> = VALUES.iter().map(|(.., value)| *value).collect();
    let mut images = Vec::new();
    for settings in SETTINGS {
        let app = database.app().await;
        // Values are read under the default settings; what follows is under the session's.
        app.ok(&format!(
            "BEGIN; INSERT INTO salesforce.everything (id, {}) VALUES ('E1', {}); {settings};
             UPDATE salesforce.everything SET id = id",
            names.join(", "),
            values.join(", ")
        ))
        .await;
        let changes = app.changes().await;
        app.ok(FIXED).await;
        let row = app.one("SELECT e::text FROM salesforce.everything e").await;
        for image in [&changes[0].new, &changes[1].old, &changes[1].new] {
            assert_eq!(image.as_deref(), Some(row.as_str()), "under {settings:?}");
        }
        images.push(row);
    }
    assert!(images.iter().all(|image| *image == images[0]));

    // The reconciler reads the same text as the same row.
    let reconciler = database.reconciler().await;
    let write = "INSERT INTO salesforce.everything SELECT ($1::text::salesforce.everything).*";
    reconciler.client.execute(write, &[&images[0]]).await.unwrap();
    assert_eq!(reconciler.one("SELECT e::text FROM salesforce.everything e").await, images[0]);
}

#[tokio::test]
async fn a13_letters_that_the_client_s_encoding_lacks_do_not_matter() {
    let database = Database::new().await;
    let seed = "INSERT INTO salesforce.contact (id, last_name, n) VALUES ('003A', '漢字', 0)";
    database.reconciler().await.ok(seed).await;
    let app = database.app().await;
    app.ok("SET client_encoding = 'LATIN1'; BEGIN; UPDATE salesforce.contact SET n = 1; SELECT upwrite.flush()").await;
    let changes = app.changes().await;
    assert_eq!(changes[0].old.as_deref(), Some("(003A,漢字,,0,,0,)"));
    assert_eq!(changes[0].new.as_deref(), Some("(003A,漢字,,1,,0,)"));
    assert_eq!(app.session().await["captured"], 1);
}

#[tokio::test]
async fn a14_users_casts_are_never_called() {
    let database = Database::new().await;
    let root = database.superuser().await;
    root.ok("CREATE TYPE mood AS ENUM ('sad', 'glad');
             CREATE TABLE called (what text);
             CREATE FUNCTION to_json_evil(mood) RETURNS json LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO called VALUES ('json'); RETURN '1'; END $$;
             CREATE FUNCTION to_text_evil(mood) RETURNS text LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO called VALUES ('text'); RETURN 'evil'; END $$;
             ALTER TABLE salesforce.contact ADD COLUMN mood mood;
             CREATE FUNCTION row_evil(salesforce.contact) RETURNS text LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO called VALUES ('row'); RETURN '(evil)'; END $$;
             CREATE CAST (mood AS json) WITH FUNCTION to_json_evil(mood) AS IMPLICIT;
             CREATE CAST (mood AS text) WITH FUNCTION to_text_evil(mood) AS IMPLICIT;
             CREATE CAST (salesforce.contact AS text) WITH FUNCTION row_evil(salesforce.contact) AS IMPLICIT;
             BEGIN; INSERT INTO salesforce.contact (id, mood) VALUES ('003A', 'glad'); SELECT upwrite.flush()")
        .await;
    assert_eq!(root.changes().await[0].new.as_deref(), Some("(003A,,,,,0,,glad)"));
    assert_eq!(root.one("SELECT count(*) FROM called").await, "0");
}
