//! `upwrite control` and `upwrite ctl`, the real executable: answers and exit codes.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use upwrite_testkit::process::Process;
use upwrite_testkit::{free_port, schema};

use crate::database::Database;

const LIMIT: Duration = Duration::from_secs(30);
const ID: &str = "0190b0c0-0000-7000-8000-000000000001";

struct Deployment {
    database: Database,
    dir: TempDir,
    port: u16,
    server: Process,
}

/// What one call said, and how it ended.
struct CtlOutput {
    code: i32,
    out: String,
    err: String,
}

impl CtlOutput {
    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
    }
}

impl Deployment {
    async fn start() -> Self {
        let database = Database::new().await;
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let secret = |name: &str, value: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, value).unwrap();
            format!("{{ file = {:?} }}", path.to_str().unwrap())
        };
        let (host, pg_port, name) = database.place();
        let config = format!(
            "[postgres]\nhost = \"{host}\"\nport = {pg_port}\ndatabase = \"{name}\"\nservice_password = {}\n\
             reconciler_password = {}\n[log]\npartitions = 2\n[control]\nlisten = \"127.0.0.1:{port}\"\ntoken = {}\n\
             [sources.salesforce]\nkind = \"salesforce\"\nlogin_url = \"http://127.0.0.1:9\"\n\
             [sources.salesforce.auth]\nflow = \"client_credentials\"\nclient_id = \"x\"\nclient_secret = {}\n\
             [[sources.salesforce.objects]]\nobject = \"Contact\"\n",
            secret("service", schema::SERVICE_PASSWORD),
            secret("reconciler", schema::RECONCILER_PASSWORD),
            secret("token", "s3cret"),
            secret("upstream", "x"),
        );
        let path = dir.path().join("upwrite.toml");
        std::fs::write(&path, config).unwrap();
        let server = serve(&path).await;
        Self { database, dir, port, server }
    }

    async fn restart(&mut self) {
        self.server = serve(&self.dir.path().join("upwrite.toml")).await;
    }

    /// `upwrite ctl` as on the same machine: with the configuration file.
    async fn ctl(&self, arguments: &[&str]) -> CtlOutput {
        let config = self.dir.path().join("upwrite.toml");
        call(&[&["ctl", "--config", config.to_str().unwrap()], arguments].concat()).await
    }
}

async fn serve(config: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upwrite"));
    command.arg("control").arg("--config").arg(config);
    let server = Process::spawn(command);
    server.wait_for_line("the control API listens", LIMIT).await;
    server
}

async fn call(arguments: &[&str]) -> CtlOutput {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_upwrite"));
    for variable in ["ADDRESS", "TOKEN", "TOKEN_FILE", "CA"] {
        command.env_remove(format!("UPWRITE_CONTROL_{variable}"));
    }
    let ended = tokio::time::timeout(LIMIT, command.env_remove("UPWRITE_CONFIG").args(arguments).output()).await;
    let Output { status, stdout, stderr } = ended.expect("an answer in time").unwrap();
    CtlOutput {
        code: status.code().expect("not killed"),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

#[tokio::test]
async fn what_scripts_are_told() {
    let deployment = Deployment::start().await;
    let superuser = deployment.database.superuser().await;
    superuser
        .ok(&format!(
            "insert into upwrite.mutations (id, state, source, table_name, operation, row_count, database, username,
                 application_name, requested_at, partition, position, lifecycle, sqlstate, message)
             values ('{ID}', 'rejected', 'salesforce', 'contact', 'insert', 1, 'app', 'ada', 'psql',
                 now(), 0, 0, '{{}}', '23502', 'a name is needed')"
        ))
        .await;

    // Only the control API runs: nobody would give a verdict.
    let status = deployment.ctl(&["status"]).await;
    assert_eq!(status.code, 1, "{}", status.err);
    assert!(
        status.out.starts_with("NOT HEALTHY") && status.out.contains("no process runs the applier"),
        "{}",
        status.out
    );
    let status = deployment.ctl(&["status", "--json"]).await;
    assert_eq!(status.code, 1);
    let [json] = &status.json()[..] else { panic!("one line: {}", status.out) };
    assert_eq!((&json["healthy"], &json["binding"]["log_engine"]), (&Value::from(false), &Value::from("postgres")));
    assert_eq!(json["partitions"].as_array().unwrap().len(), 4);

    let list = deployment.ctl(&["mutations", "list", "--state", "rejected,dead", "--since", "1h"]).await;
    assert_eq!(list.code, 0, "{}", list.err);
    assert!(list.out.contains(ID) && list.out.contains("23502 a name is needed"), "{}", list.out);
    let list = deployment.ctl(&["mutations", "list", "--user", "bob", "--json"]).await;
    assert_eq!((list.code, list.out.as_str()), (0, ""));

    let show = deployment.ctl(&["--json", "mutations", "show", ID]).await;
    assert_eq!((show.code, &show.json()[0]["mutation"]["user"]), (0, &Value::from("ada")), "{}", show.err);
    let missing = deployment.ctl(&["mutations", "show", &ID.replace('1', "2"), "--json"]).await;
    assert_eq!(missing.code, 3);
    let error: Value = serde_json::from_str(&missing.err).unwrap();
    assert_eq!(error["exit_code"], 3);

    for usage in [
        &["mutations", "list", "--state", "done"][..],
        &["mutations", "show", "17"],
        &["rebuild"],
        &["rebuild", "--table", "salesforce.contact", "--projections"],
        &["rebuild", "--table", "contact"],
        &["recover"],
        &["nonsense"],
        &["status", "--ca", "/nowhere"],
    ] {
        let said = deployment.ctl(usage).await;
        assert_eq!(said.code, 2, "{usage:?}: {}", said.err);
    }
    let missing = deployment.ctl(&["rebuild", "--table", "salesforce.nothing"]).await;
    assert_eq!(missing.code, 3, "{}", missing.err);
    let rebuilt = deployment.ctl(&["rebuild", "--table", "salesforce.contact"]).await;
    assert!(rebuilt.code == 0 && rebuilt.out.ends_with("done\n"), "{} {}", rebuilt.out, rebuilt.err);
    let rebuilt = deployment.ctl(&["rebuild", "--projections", "--json"]).await;
    assert_eq!((rebuilt.code, &rebuilt.json().last().unwrap()["finished"]), (0, &Value::from(true)), "{}", rebuilt.err);
}

#[tokio::test]
async fn who_may_not_and_who_cannot() {
    let deployment = Deployment::start().await;
    let address = format!("http://127.0.0.1:{}", deployment.port);
    // The configured token is not shown to an address that was given.
    let config = deployment.dir.path().join("upwrite.toml");
    let strangers = ["ctl", "--config", config.to_str().unwrap(), "--address", &address, "status"];
    assert_eq!(call(&strangers).await.code, 5);
    assert_eq!(call(&["ctl", "--address", &address, "--token", "guess", "status"]).await.code, 5);
    let file = deployment.dir.path().join("token");
    let shown = ["ctl", "--address", &address, "--token-file", file.to_str().unwrap(), "mutations", "list"];
    assert_eq!(call(&shown).await.code, 0);

    let nobody = format!("http://127.0.0.1:{}", free_port());
    let said = call(&["ctl", "--address", &nobody, "status", "--json"]).await;
    assert_eq!(said.code, 4, "{}", said.err);
    assert_eq!(call(&["ctl", "--address", "nonsense", "status"]).await.code, 2);
}

#[tokio::test]
async fn a_watch_goes_on_after_the_server_was_away() {
    let mut deployment = Deployment::start().await;
    let superuser = deployment.database.superuser().await;
    let insert = |id: &str| {
        format!(
            "insert into upwrite.mutations (id, state, source, table_name, operation, row_count, database, username,
                 application_name, requested_at, accepted_at, partition, position, lifecycle)
             values ('{id}', 'requested', 'salesforce', 'contact', 'insert', 1, 'app', 'ada', 'psql', now(), now(), 0, 0, '{{}}')"
        )
    };
    superuser.ok(&insert(ID)).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_upwrite"));
    command.args(["ctl", "mutations", "watch", "--config"]).arg(deployment.dir.path().join("upwrite.toml"));
    let watch = Process::spawn(command);
    watch.wait_for_line(&format!("{ID}  requested"), LIMIT).await;

    deployment.server.kill9();
    watch.wait_for_line("trying again", LIMIT).await;
    let other = ID.replace('1', "2");
    superuser.ok(&insert(&other)).await;
    deployment.restart().await;
    watch.wait_for_line(&format!("{other}  requested"), LIMIT).await;
    watch.sigterm();
    assert_eq!(watch.wait_exit(LIMIT).await.code(), Some(0));
}
