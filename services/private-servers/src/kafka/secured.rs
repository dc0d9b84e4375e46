//! Brokers that encrypt what clients say and ask who they are. The nodes' own listeners stay open: on loopback.

use super::brokers::Options;

/// What a broker shows and trusts, in PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The broker's own, for `127.0.0.1`, and its key (PKCS #8).
    pub own: String,
    pub key: String,
    /// The authorities of clients' certificates.
    pub trusted: String,
}

impl Options {
    /// Clients speak TLS and log in by SASL: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 as one of `users` (name, password;
    /// neither with blanks or quotation marks), or OAUTHBEARER with any token that has not expired, signed or not. Nobody
    /// stays connected for longer than the token says.
    pub fn sasl_ssl(certificates: &Certificates, users: &[(&str, &str)]) -> Self {
        let passwords: String = users.iter().map(|(name, password)| format!(" user_{name}=\"{password}\"")).collect();
        let security = "org.apache.kafka.common.security";
        let login = |mechanism: &str, module: &str| {
            let name = format!("listener.name.client.{mechanism}.sasl.jaas.config");
            (name, format!("{security}.{module}"))
        };
        let scram = "scram.ScramLoginModule required;";
        // Without further options, the broker takes tokens that nobody has signed.
        let bearer = "oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";";
        let mut settings = listener("SASL_SSL", certificates);
        settings.extend([
            setting("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"),
            setting("listener.name.client.oauthbearer.connections.max.reauth.ms", "3600000"),
            login("plain", &format!("plain.PlainLoginModule required{passwords};")),
            login("scram-sha-256", scram),
            login("scram-sha-512", scram),
            login("oauthbearer", bearer),
        ]);
        let scram = users.iter().map(|(name, password)| setting(name, password)).collect();
        Self { settings, scram, ..Self::default() }
    }

    /// Clients may do what access control lists allow them, and nothing else. The nodes' own listeners
    /// ([`super::Brokers::internal_port`]) may do all.
    #[must_use]
    pub fn with_acls(mut self) -> Self {
        self.settings.extend([
            setting("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            setting("super.users", "User:ANONYMOUS"),
        ]);
        self
    }

    /// Clients speak TLS and show a certificate.
    pub fn mutual_tls(certificates: &Certificates) -> Self {
        let mut settings = listener("SSL", certificates);
        settings.push(setting("listener.name.client.ssl.client.auth", "required"));
        Self { settings, ..Self::default() }
    }
}

fn listener(protocol: &str, certificates: &Certificates) -> Vec<(String, String)> {
    let protocols = format!("CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,CLIENT:{protocol}");
    vec![
        setting("listener.security.protocol.map", &protocols),
        setting("listener.name.client.ssl.keystore.type", "PEM"),
        setting("listener.name.client.ssl.keystore.certificate.chain", &line(&certificates.own)),
        setting("listener.name.client.ssl.keystore.key", &line(&certificates.key)),
        setting("listener.name.client.ssl.truststore.type", "PEM"),
        setting("listener.name.client.ssl.truststore.certificates", &line(&certificates.trusted)),
    ]
}

/// As a file of properties holds several lines.
fn line(pem: &str) -> String {
    pem.trim().replace("\r\n", "\n").replace('\n', "\\n")
}

fn setting(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
