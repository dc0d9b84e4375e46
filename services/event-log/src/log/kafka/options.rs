//! What is wrong with the options of clients, as far as no broker need be asked.

use rdkafka::ClientConfig;
use rdkafka::producer::BaseProducer;

use super::client::Aside;
use super::config::KafkaConfig;
use super::fixed_options::REFUSED;
use super::token::TokenError;

impl KafkaConfig {
    /// What is wrong with `options`: those that would break a promise, those that librdkafka does not know, values that
    /// it does not take, files of certificates and keys that it cannot use, and no token, or two, for OAUTHBEARER. Asks
    /// no broker.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for (name, value) in &self.options {
            if let Some((_, promise)) = REFUSED.iter().find(|(refused, _)| refused == name) {
                mistakes.push(format!("`{name}` cannot be set: {promise}"));
            } else if let Err(error) = ClientConfig::new().set(name, value).create_native_config() {
                // librdkafka's text; it does not repeat the values of options that are secret.
                mistakes.push(format!("`{name}`: {error}"));
            }
        }
        mistakes.extend(self.token_mistake().map(str::to_owned));
        if mistakes.is_empty() {
            // A client that knows no broker looks at its files all the same.
            let mut producer = self.producer();
            producer.remove("bootstrap.servers");
            let tried = producer.create::<BaseProducer>().map(Aside::new);
            mistakes.extend(tried.err().map(|error| error.to_string()));
        }
        mistakes
    }

    /// What is wrong now with what is in `token_file`. It may pass: another program writes that file.
    pub fn token_error(&self) -> Option<TokenError> {
        self.context().token()?.err()
    }

    fn token_mistake(&self) -> Option<&'static str> {
        let option = |name: &str| self.options.get(name).map(String::as_str);
        let mechanism = option("sasl.mechanism").or(option("sasl.mechanisms")).unwrap_or_default();
        // What librdkafka makes itself, without a signature: for brokers that believe everything.
        let makes_itself = option("enable.sasl.oauthbearer.unsecure.jwt") == Some("true");
        match (mechanism.eq_ignore_ascii_case("OAUTHBEARER"), self.token_file.is_some()) {
            (false, true) => Some("a token file is of no use unless `sasl.mechanism` is OAUTHBEARER"),
            (true, false) if !makes_itself => Some("`sasl.mechanism` OAUTHBEARER needs a token file"),
            (true, true) if makes_itself => {
                Some("`enable.sasl.oauthbearer.unsecure.jwt` and a token file exclude one another")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn mistakes(options: &[(&str, &str)]) -> Vec<String> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        KafkaConfig { options, ..KafkaConfig::new("localhost:9092") }.mistakes()
    }

    #[test]
    fn options_that_a_promise_rests_on_are_refused() {
        for (name, _) in REFUSED {
            let mistakes = mistakes(&[(name, "1")]);
            assert!(mistakes[0].starts_with(&format!("`{name}` cannot be set")), "{mistakes:?}");
        }
    }

    #[test]
    fn what_librdkafka_does_not_know_or_take_is_a_mistake() {
        assert_eq!(mistakes(&[]), Vec::<String>::new());
        assert_eq!(mistakes(&[("security.protocol", "ssl"), ("linger.ms", "1")]), Vec::<String>::new());
        assert!(mistakes(&[("no.such.option", "1")])[0].contains("no.such.option"));
        assert!(mistakes(&[("linger.ms", "soon")])[0].contains("linger.ms"));
        assert!(mistakes(&[("sasl.oauthbearer.method", "oidc")])[0].contains("sasl.oauthbearer.method"));
    }

    #[test]
    fn files_and_mechanisms_are_tried() {
        let tls = ("security.protocol", "ssl");
        for option in ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location"] {
            let mistakes = mistakes(&[tls, (option, "/nowhere/file.pem")]);
            assert!(mistakes[0].contains(option), "{mistakes:?}");
        }
        let kerberos = mistakes(&[("security.protocol", "sasl_ssl"), ("sasl.mechanism", "GSSAPI")]);
        assert!(kerberos[0].contains("GSSAPI"), "{kerberos:?}");
        let secret = mistakes(&[("sasl.password", "s3cret"), ("security.protocol", "sasl"), ("ssl.key.pem", "s3cret")]);
        assert!(!secret.is_empty() && !secret.join(" ").contains("s3cret"), "{secret:?}");
    }

    #[test]
    fn a_token_comes_from_one_place() {
        let with = |options: &[(&str, &str)], file: Option<&str>| {
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let token_file = file.map(PathBuf::from);
            KafkaConfig { options, token_file, ..KafkaConfig::new("localhost:9092") }.mistakes()
        };
        let bearer = [("security.protocol", "sasl_ssl"), ("sasl.mechanisms", "OAUTHBEARER")];
        let unsigned = [bearer[0], bearer[1], ("enable.sasl.oauthbearer.unsecure.jwt", "true")];
        assert_eq!(with(&bearer, Some("/nowhere/token")), Vec::<String>::new(), "it may come later");
        assert_eq!(with(&unsigned, None), Vec::<String>::new());
        assert!(with(&bearer, None)[0].contains("needs a token file"));
        assert!(with(&unsigned, Some("/nowhere/token"))[0].contains("exclude one another"));
        assert!(with(&[], Some("/nowhere/token"))[0].contains("is of no use"));
    }
}
