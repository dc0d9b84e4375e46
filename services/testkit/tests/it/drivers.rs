use std::process::Command;

/// What the command printed; it has to succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn python_has_the_pinned_clients() {
    let script = "import psycopg, asyncpg, sqlalchemy, confluent_kafka as kafka; \
         print(psycopg.__version__, asyncpg.__version__, sqlalchemy.__version__, kafka.__version__)";
    let versions = run(Command::new(upwrite_testkit::python()).args(["-c", script]));
    let pinned = include_str!("../../drivers/requirements.txt");
    for (name, version) in
        ["psycopg", "asyncpg", "SQLAlchemy", "confluent-kafka"].into_iter().zip(versions.split_whitespace())
    {
        assert!(pinned.contains(&format!("{name}=={version}\n")), "{name} {version} is not what is pinned");
    }
}

#[test]
fn node_scripts_elsewhere_find_the_pinned_clients() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script.cjs");
    std::fs::write(&script, "require('pg'); require('postgres'); console.log(require('jsforce').VERSION)").unwrap();
    let version = run(&mut upwrite_testkit::node(&script));
    let pinned = include_str!("../../drivers/package.json");
    assert!(pinned.contains(&format!("\"jsforce\": \"{}\"", version.trim())), "{version}");
}
