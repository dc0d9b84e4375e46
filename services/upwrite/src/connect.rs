//! Configuration → pools and connectors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection as _, PgPool};
use upwrite_connectors::{Budget, Connector};
use upwrite_event_log::{Engine as LogEngine, KafkaConfig};
use upwrite_events::TableName;
use upwrite_proxy::ServerTls;

use crate::config::{Config, Engine, Kafka, Postgres, Secret};
use crate::setup::LogBinding;

/// How long a stage waits for a connection before it takes Postgres as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was idle for longer is asked whether it lives before it is used.
const ASKED_AFTER: Duration = Duration::from_millis(500);

fn options(postgres: &Postgres, user: &str, password: &str) -> PgConnectOptions {
    let ssl_mode = match postgres.tls {
        ServerTls::Disable => PgSslMode::Disable,
        ServerTls::Require => PgSslMode::Require,
        ServerTls::VerifyFull => PgSslMode::VerifyFull,
    };
    let options = PgConnectOptions::new_without_pgpass()
        .host(&postgres.host)
        .port(postgres.port)
        .database(&postgres.database)
        .username(user)
        .password(password)
        .ssl_mode(ssl_mode);
    match &postgres.root_certificates {
        Some(path) => options.ssl_root_cert(path),
        None => options,
    }
}

/// As `upwrite_service`; connects when first used, so that Postgres may be away at start.
pub(crate) fn service_pool(postgres: &Postgres, name: &str, connections: u32) -> PgPool {
    let options = options(postgres, "upwrite_service", postgres.service_password.expose())
        .application_name(name)
        // Few statements, short and often: planned once.
        .options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")]);
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A connection that was at work just now need not be asked whether it lives: held clients wait for the answer.
        .test_before_acquire(false)
        .before_acquire(|connection, idle| {
            Box::pin(async move {
                if idle.idle_for > ASKED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// As `upwrite_reconciler`.
pub(crate) fn reconciler(postgres: &Postgres) -> PgConnectOptions {
    options(postgres, "upwrite_reconciler", postgres.reconciler_password.expose())
}

/// As the superuser of `setup`.
pub(crate) fn superuser(postgres: &Postgres) -> anyhow::Result<PgConnectOptions> {
    let password = postgres
        .setup_password
        .as_ref()
        .context("postgres.setup_password is missing: `upwrite setup` logs in as a superuser")?;
    Ok(options(postgres, &postgres.setup_user, password.expose()).application_name("upwrite setup"))
}

/// The log's engine with its settings.
pub(crate) fn engine(config: &Config) -> LogEngine {
    match &config.engine {
        Engine::Postgres => LogEngine::Postgres(upwrite_event_log::Config::default()),
        Engine::Kafka(settings) => LogEngine::Kafka(kafka(settings)),
    }
}

fn kafka(settings: &Kafka) -> KafkaConfig {
    let exposed = |(name, value): (&String, &Secret)| (name.clone(), value.expose().to_owned());
    KafkaConfig {
        topic_prefix: settings.topic_prefix.clone(),
        replication: settings.replication,
        min_insync: settings.min_insync,
        retention: settings.retention,
        settle_timeout: settings.settle_timeout,
        registry: settings.registry.as_ref().map(|registry| upwrite_event_log::kafka::Registry {
            url: registry.url.clone(),
            username: registry.username.clone(),
            password: registry.password.as_ref().map(|password| password.expose().to_owned()),
            ca: registry.ca.clone(),
        }),
        options: settings.options.iter().map(exposed).collect(),
        token_file: settings.token_file.clone(),
        ..KafkaConfig::new(&settings.brokers)
    }
}

/// What is wrong with the log's settings, as far as that can be said without asking the brokers.
pub(crate) fn log_mistakes(config: &Config) -> Vec<String> {
    match engine(config) {
        LogEngine::Postgres(_) => vec![],
        LogEngine::Kafka(kafka) => {
            let options = kafka.mistakes().into_iter().map(|mistake| format!("kafka.options: {mistake}"));
            let token = kafka.token_error().map(|error| format!("kafka.oauth.token_file: {error}"));
            options.chain(token).collect()
        }
    }
}

/// Which log the database must be bound to. An error means that the brokers are away.
pub(crate) async fn log_binding(config: &Config) -> anyhow::Result<LogBinding> {
    match engine(config) {
        LogEngine::Postgres(_) => Ok(LogBinding::default()),
        LogEngine::Kafka(kafka) => {
            let cluster = upwrite_event_log::kafka::cluster_id(&kafka).await?;
            Ok(LogBinding { engine: "kafka", cluster: Some(cluster) })
        }
    }
}

/// Makes what the log needs outside the database; what was done.
pub(crate) async fn prepare_log(config: &Config, tables: &[TableName]) -> anyhow::Result<Vec<String>> {
    match engine(config) {
        LogEngine::Postgres(_) => Ok(vec![]),
        LogEngine::Kafka(kafka) => Ok(upwrite_event_log::kafka::prepare(&kafka, config.partitions, tables).await?),
    }
}

/// One connector a source, by name, with its rate budget. All mistakes of all sources are reported together.
pub(crate) fn connectors(
    config: &Config,
    budgets: &HashMap<String, Budget>,
) -> anyhow::Result<HashMap<String, Arc<dyn Connector>>> {
    upwrite_connectors::connectors(&config.sources, budgets).map_err(|mistakes| anyhow::anyhow!(mistakes.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `check-config` says of the log: mistakes of the file, or else of the log's options.
    fn told(kafka: &str) -> String {
        let secret = std::env::temp_dir().join(format!("upwrite-connect-test-{}", std::process::id()));
        std::fs::write(&secret, "s3cret\n").unwrap();
        let secret = format!("{{ file = {:?} }}", secret.to_str().unwrap());
        let text = format!(
            "[postgres]\ndatabase = \"app\"\nservice_password = {secret}\nreconciler_password = {secret}\n\
             [sources.salesforce]\nkind = \"salesforce\"\nlogin_url = \"https://example.my.salesforce.com\"\n\
             auth = {{ flow = \"client_credentials\", client_id = \"x\", client_secret = {secret} }}\n\
             objects = [{{ object = \"Account\" }}]\n\
             [log]\nengine = \"kafka\"\n[kafka]\nbrokers = \"kafka:9092\"\n{}",
            kafka.replace("@secret@", &secret)
        );
        match Config::parse(&text, upwrite_connectors::VENDORS) {
            Ok(config) => log_mistakes(&config).join("\n"),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn logins_to_brokers_and_registry_are_checked() {
        let scram = "[kafka.options]\n\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\
                     \"sasl.username\" = \"upwrite\"\n\"sasl.password\" = @secret@\n";
        assert_eq!(told(scram), "");
        let bearer = "[kafka.options]\n\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \"OAUTHBEARER\"\n";
        for (text, expected) in [
            (
                format!("{scram}\"ssl.ca.location\" = \"/nowhere/ca.pem\"\n"),
                "kafka.options: Client creation error: ssl.ca",
            ),
            (format!("{scram}\"ssl.ca\" = \"x\"\n"), "kafka.options: `ssl.ca`"),
            (scram.replace("SCRAM-SHA-512", "GSSAPI"), "kafka.options: Client creation error: No provider"),
            (bearer.to_owned(), "kafka.options: `sasl.mechanism` OAUTHBEARER needs a token file"),
            (format!("{bearer}[kafka.oauth]\n"), "kafka.oauth.token_file: is missing"),
            (format!("{bearer}[kafka.oauth]\ntoken = \"x\"\n"), "kafka.oauth.token: unknown key"),
            (
                format!("{bearer}[kafka.oauth]\ntoken_file = \"/nowhere/token\"\n"),
                "kafka.oauth.token_file: token file /nowhere/token cannot be read",
            ),
            ("[kafka.registry]\nurl = \"http://r\"\nca = \"/nowhere/ca.pem\"\n".to_owned(), "kafka.registry.ca: "),
            (
                "[kafka.registry]\nurl = \"http://r\"\npassword = @secret@\n".to_owned(),
                "kafka.registry.username: is missing",
            ),
        ] {
            let told = told(&text);
            assert!(told.contains(expected) && !told.contains("s3cret"), "{expected} is not in: {told}");
        }
    }
}
