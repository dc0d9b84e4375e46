//! Which hosts requests may go to.

use reqwest::Url;

/// Requests go only to `https`, or to loopback addresses.
pub fn check_base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("must be scheme and host only".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err("must begin with https:// (http:// only for loopback addresses)".to_owned()),
    }
}

/// Whether the host is this machine.
pub fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::check_base_url;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for (url, fits) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080", true),
            ("http://localhost:1", true),
            ("http://10.0.0.1", false),
            ("https://a.b", true),
            ("https://a.b/path", false),
            ("https://user@a.b", false),
            ("ftp://127.0.0.1", false),
        ] {
            assert_eq!(check_base_url(url).is_ok(), fits, "{url}");
        }
    }
}
