//! Rules that stand in `upwrite-events` and, once more, in SQL.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use upwrite_events::{ColumnSpec, OWN_COLUMNS, TableName, TableSpec, fold_case};
use upwrite_testkit::postgres::Cluster;
use upwrite_testkit::schema;

/// One of each way in which servers lower text: bytes, the C library, ICU (with the languages that have rules of their own),
/// and PostgreSQL's own. What this server does not have is left out.
const COLLATIONS: [&str; 16] = [
    "C",
    "C.utf8",
    "en_US.utf8",
    "tr_TR.utf8",
    "az_AZ.utf8",
    "lt_LT.utf8",
    "el_GR.utf8",
    "unicode",
    "und-x-icu",
    "tr-x-icu",
    "az-x-icu",
    "lt-x-icu",
    "el-x-icu",
    "nl-x-icu",
    "pg_c_utf8",
    "pg_unicode_fast",
];

async fn connect() -> PgConnection {
    let cluster = Cluster::shared().await;
    let database = cluster.create_database().await;
    PgConnection::connect(&cluster.superuser_url(&database)).await.unwrap()
}

/// The collations that this server has, and an empty name for the database's own.
async fn collations(connection: &mut PgConnection) -> Vec<String> {
    let sql = "select collname::text from pg_collation where collname = any($1) and collencoding in (-1, 6)";
    let mut names: Vec<String> =
        sqlx::query_scalar(sql).bind(COLLATIONS.as_slice()).fetch_all(connection).await.unwrap();
    assert!(names.iter().any(|name| name == "C"), "{names:?}");
    names.push(String::new());
    names
}

fn collate(collation: &str) -> String {
    if collation.is_empty() { String::new() } else { format!(" collate \"{collation}\"") }
}

fn assert_alike(collation: &str, texts: &[(String, String)]) {
    for (text, lowered) in texts {
        assert_eq!(fold_case(lowered), fold_case(text), "collation {collation:?}: {text:?} becomes {lowered:?}");
    }
}

#[tokio::test]
async fn whatever_lower_makes_of_a_character_its_claim_is_the_same() {
    let mut connection = connect().await;
    for collation in collations(&mut connection).await {
        // What stays as it is says nothing.
        let sql = format!(
            "select * from (select chr(n) as char, lower(chr(n){}) as lowered from generate_series(1, 1114111) n
                             where n not between 55296 and 57343) c
              where char <> lowered",
            collate(&collation)
        );
        let changed: Vec<(String, String)> =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        assert!(changed.len() >= 26, "{collation:?} lowers {} characters", changed.len());
        assert_alike(&collation, &changed);
    }
}

#[tokio::test]
async fn whatever_lower_makes_of_a_word_its_claim_is_the_same() {
    // What depends on its neighbours: the final sigma, dots above i and j in Turkish and Lithuanian.
    let letters = [
        "I", "i", "İ", "ı", "J", "Į", "Ì", "í", "Ĩ", "Σ", "σ", "ς", "A", "ß", " ", "-", "\u{307}", "\u{300}", "\u{323}",
    ];
    let mut state = 1_u64;
    let mut letter = || {
        // Knuth's MMIX generator: the same words in every run.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        letters[(state >> 33) as usize % letters.len()]
    };
    let words: Vec<String> = (0..20_000).map(|n| (0..2 + n % 5).map(|_| letter()).collect()).collect();
    let mut connection = connect().await;
    for collation in collations(&mut connection).await {
        let sql = format!("select w, lower(w{}) from unnest($1::text[]) w", collate(&collation));
        let lowered: Vec<(String, String)> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(&words).fetch_all(&mut connection).await.unwrap();
        assert_eq!(lowered.len(), words.len());
        assert_alike(&collation, &lowered);
    }
}

/// A table with nothing but a key of that type.
fn table(key_type: &str) -> TableSpec {
    let name = TableName::new("crm", key_type.replace(' ', "_"));
    TableSpec::new(name, "id", vec![ColumnSpec::new("id", key_type).read_only()])
}

#[tokio::test]
async fn what_a_keys_default_makes_is_a_placeholder() {
    let tables: Vec<TableSpec> =
        ["text", "character varying", "smallint", "integer", "bigint"].into_iter().map(table).collect();
    let specs: Vec<String> = tables.iter().map(|table| serde_json::to_string(table).unwrap()).collect();
    let cluster = Cluster::shared().await;
    let url = cluster.superuser_url(&cluster.create_database().await);
    schema::install(&url, &specs, 1).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for table in &tables {
        let sql = "select pg_get_expr(adbin, adrelid) from pg_attrdef d
                     join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
                    where d.adrelid = format('%I.%I', $1, $2)::regclass and a.attname = $3";
        let default: String = sqlx::query_scalar(sql)
            .bind(&table.name.source)
            .bind(&table.name.table)
            .bind(&table.key)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let sql = format!("select ({default})::text from generate_series(1, 3)");
        let keys: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        assert_eq!(keys.len(), 3);
        for key in keys {
            assert!(table.is_placeholder(&key), "{}: {key}", table.name);
        }
    }
}

#[tokio::test]
async fn a_table_has_upstreams_columns_and_upwrites_own() {
    let table = table("text");
    let cluster = Cluster::shared().await;
    let url = cluster.superuser_url(&cluster.create_database().await);
    schema::install(&url, &[serde_json::to_string(&table).unwrap()], 1).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let sql = "select attname::text from pg_attribute where attrelid = 'crm.text'::regclass and attnum > 0
               order by attnum";
    let columns: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
    assert_eq!(columns, ["id", OWN_COLUMNS[0], OWN_COLUMNS[1]]);
}
