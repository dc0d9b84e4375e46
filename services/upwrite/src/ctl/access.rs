//! Where the control API is: from options, the environment, or the configuration of this machine's own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use toml::Table;
use upwrite_control::{ClientConfig, Token};

use super::exit::Failure;

const DEFAULT: &str = "http://127.0.0.1:6433";
const CONFIG: &str = "upwrite.toml";

/// Where the control API is, what it is shown, and how answers are written.
#[derive(Args, Debug)]
pub(super) struct Access {
    /// Of the control API; by default what [control] of the configuration says, or http://127.0.0.1:6433.
    #[arg(long, global = true, env = "UPWRITE_CONTROL_ADDRESS", value_name = "URL")]
    address: Option<String>,
    /// The token that it asks for. On the command line others can see it: rather set the variable, or use a file.
    #[arg(long, global = true, env = "UPWRITE_CONTROL_TOKEN", hide_env_values = true, conflicts_with = "token_file")]
    token: Option<String>,
    /// A file that holds the token.
    #[arg(long, global = true, env = "UPWRITE_CONTROL_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The authority that signed its certificate (PEM); by default those that this machine trusts.
    #[arg(long, global = true, env = "UPWRITE_CONTROL_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The configuration file, if the control API of this machine is meant. It need not exist.
    #[arg(short, long, global = true, env = "UPWRITE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write JSON: one object a line, with the field names of proto/upwrite/control/v1.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

pub(super) fn client_config(access: &Access) -> Result<ClientConfig, Failure> {
    let authority = access.ca.as_deref().map(read).transpose()?;
    let given = token(access)?;
    if let Some(address) = &access.address {
        // The configured token is for the configured server only.
        return Ok(ClientConfig { address: address.clone(), token: given, authority });
    }
    let control = control(access.config.as_deref())?;
    let configured = if given.is_none() { control.as_ref().map(configured_token).transpose()?.flatten() } else { None };
    let address = control.map_or_else(|| Ok(DEFAULT.to_owned()), |control| address(&control))?;
    Ok(ClientConfig { address, token: given.or(configured), authority })
}

fn token(access: &Access) -> Result<Option<Token>, Failure> {
    match (&access.token, &access.token_file) {
        (Some(token), _) => Ok(Some(Token::new(token.as_str()))),
        (None, Some(file)) => read_token(file).map(Some),
        (None, None) => Ok(None),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", file.display())))
}

fn read_token(file: &Path) -> Result<Token, Failure> {
    let text = String::from_utf8(read(file)?)
        .map_err(|_| Failure::Usage(format!("{} does not hold a token: not text", file.display())))?;
    Ok(Token::new(text.trim_end_matches(['\r', '\n'])))
}

/// Section [control]. Only this section is looked at: `ctl` has no use for the other secrets, and works where the
/// variables that hold them are not set.
fn control(config: Option<&Path>) -> Result<Option<Table>, Failure> {
    let path = match config {
        Some(path) => path.to_owned(),
        None if Path::new(CONFIG).exists() => PathBuf::from(CONFIG),
        None => return Ok(None),
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?;
    let mut table: Table = text.parse().map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    match table.remove("control") {
        Some(toml::Value::Table(control)) => Ok(Some(control)),
        _ => Ok(None),
    }
}

/// Where a server with this section is reached from this machine.
fn address(control: &Table) -> Result<String, Failure> {
    let secure = control.contains_key("tls_certificate");
    let scheme = if secure { "https" } else { "http" };
    let Some(listen) = control.get("listen").and_then(toml::Value::as_str) else {
        return Ok(format!("{scheme}://{}:6433", if secure { "localhost" } else { "127.0.0.1" }));
    };
    let listen: SocketAddr =
        listen.parse().map_err(|_| Failure::Usage(format!("control.listen: {listen:?} is not an address and port")))?;
    let host = match listen.ip() {
        // A certificate has a name, seldom an address.
        ip if (ip.is_loopback() || ip.is_unspecified()) && secure => "localhost".to_owned(),
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip if ip.is_ipv6() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    Ok(format!("{scheme}://{host}:{}", listen.port()))
}

/// `{ env = … }` or `{ file = … }`, as everywhere in the configuration.
fn configured_token(control: &Table) -> Result<Option<Token>, Failure> {
    let Some(token) = control.get("token").and_then(toml::Value::as_table) else { return Ok(None) };
    if let Some(file) = token.get("file").and_then(toml::Value::as_str) {
        return read_token(Path::new(file)).map(Some);
    }
    // Not set here: the server will say that it wants one.
    let variable = token.get("env").and_then(toml::Value::as_str);
    Ok(variable.and_then(|variable| std::env::var(variable).ok()).map(Token::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_this_machine_is_found_by_its_configuration() {
        for (section, expected) in [
            ("", "http://127.0.0.1:6433"),
            ("listen = '0.0.0.0:7000'", "http://127.0.0.1:7000"),
            ("listen = '10.0.0.5:7000'", "http://10.0.0.5:7000"),
            ("listen = '[::1]:7000'", "http://[::1]:7000"),
            ("listen = '[::]:7000'\ntls_certificate = 'x'", "https://localhost:7000"),
            ("tls_certificate = 'x'", "https://localhost:6433"),
        ] {
            assert_eq!(address(&section.parse().unwrap()).unwrap(), expected, "{section}");
        }
        assert!(address(&"listen = 'here'".parse().unwrap()).is_err());
    }
}
