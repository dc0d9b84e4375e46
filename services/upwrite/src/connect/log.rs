//! Configuration → the log: which engine, what is wrong with its settings, which log the database must be bound to.

use upwrite_event_log::{Engine as LogEngine, KafkaConfig};
use upwrite_events::TableName;

use crate::config::{Config, Engine, Kafka, Secret};
use crate::setup::LogBinding;

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
pub(crate) fn mistakes(config: &Config) -> Vec<String> {
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
pub(crate) async fn binding(config: &Config) -> anyhow::Result<LogBinding> {
    match engine(config) {
        LogEngine::Postgres(_) => Ok(LogBinding::default()),
        LogEngine::Kafka(kafka) => {
            let cluster = upwrite_event_log::kafka::cluster_id(&kafka).await?;
            Ok(LogBinding { engine: "kafka", cluster: Some(cluster) })
        }
    }
}

/// Makes what the log needs outside the database; what was done.
pub(crate) async fn prepare(config: &Config, tables: &[TableName]) -> anyhow::Result<Vec<String>> {
    match engine(config) {
        LogEngine::Postgres(_) => Ok(vec![]),
        LogEngine::Kafka(kafka) => Ok(upwrite_event_log::kafka::prepare(&kafka, config.partitions, tables).await?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `check-config` says of the log: mistakes of the file, or else of the log's options.
    fn checked(kafka: &str) -> String {
        let secret = std::env::temp_dir().join(format!("upwrite-connect-log-test-{}", std::process::id()));
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
            Ok(config) => mistakes(&config).join("\n"),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn logins_to_brokers_and_registry_are_checked() {
        let scram = "[kafka.options]\n\"security.protocol\" = \"sasl_ssl\"\n\"sasl.mechanism\" = \"SCRAM-SHA-512\"\n\
                     \"sasl.username\" = \"upwrite\"\n\"sasl.password\" = @secret@\n";
        assert_eq!(checked(scram), "");
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
            let said = checked(&text);
            assert!(said.contains(expected) && !said.contains("s3cret"), "{expected} is not in: {said}");
        }
    }
}
