use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use upwrite_control::{
    Client, ClientConfig, ClientError, Config, ControlError, Server, TlsPem, Token, Unsupported, serve,
};

use crate::test_server::{TestServer, config, loopback};

/// A second server on the same database.
async fn serve_as(server: &TestServer, config: Config) -> String {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let second = Server::bind(config).await.unwrap();
    let port = second.local_addr().unwrap().port();
    tokio::spawn(second.serve(server.pool.clone(), server.log.clone(), Arc::new(Unsupported), server.stop.clone()));
    format!("{scheme}://localhost:{port}")
}

async fn ask(address: &str, token: Option<&str>, authority: Option<&[u8]>) -> Result<(), ClientError> {
    let token = token.map(Token::new);
    let authority = authority.map(<[u8]>::to_vec);
    let mut client = Client::connect(ClientConfig { address: address.to_owned(), token, authority }).await?;
    client.status().await.map(drop)
}

#[tokio::test]
async fn only_the_token_is_let_in() {
    let server = TestServer::start().await;
    let address = serve_as(&server, Config { token: Some(Token::new("s3cret")), ..config() }).await;
    ask(&address, Some("s3cret"), None).await.unwrap();
    for wrong in [None, Some("s3cre"), Some("S3cret")] {
        let refused = ask(&address, wrong, None).await;
        assert!(matches!(refused, Err(ClientError::NotAuthorised(_))), "{wrong:?}: {refused:?}");
    }
}

#[tokio::test]
async fn tls_with_a_token() {
    let server = TestServer::start().await;
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = cert.pem().into_bytes();
    let tls = TlsPem { certificate: certificate.clone(), key: signing_key.serialize_pem().into_bytes() };
    let address = serve_as(&server, Config { token: Some(Token::new("s3cret")), tls: Some(tls), ..config() }).await;
    ask(&address, Some("s3cret"), Some(&certificate)).await.unwrap();
    let refused = ask(&address, Some("wrong"), Some(&certificate)).await;
    assert!(matches!(refused, Err(ClientError::NotAuthorised(_))), "{refused:?}");
    // A certificate of somebody else's, no certificate to go by, no TLS: nobody there to talk to.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem().into_bytes();
    let plain = address.replace("https", "http");
    for (address, authority) in [(&address, Some(other.as_slice())), (&address, None), (&plain, None)] {
        let refused = ask(address, Some("s3cret"), authority).await;
        assert!(matches!(refused, Err(ClientError::Unreachable(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn nobody_listens_for_others_without_a_token() {
    let open = Config { listen: ([0, 0, 0, 0], 0).into(), ..config() };
    let refused = Server::bind(open).await;
    assert!(matches!(refused, Err(ControlError::TokenRequired(_))), "{refused:?}");
    Server::bind(Config { listen: loopback(), ..config() }).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_at_start() {
    let server = TestServer::start().await;
    let tls = Some(TlsPem { certificate: b"no".to_vec(), key: b"no".to_vec() });
    let config = Config { tls, ..config() };
    let refused =
        serve(config, server.pool.clone(), server.log.clone(), Arc::new(Unsupported), CancellationToken::new()).await;
    assert!(matches!(refused, Err(ControlError::Tls(_))), "{refused:?}");
}

#[tokio::test]
async fn nobody_there_and_no_address() {
    let port = upwrite_testkit::free_port();
    let refused = ask(&format!("http://127.0.0.1:{port}"), None, None).await;
    assert!(matches!(&refused, Err(ClientError::Unreachable(text)) if text.contains("refused")), "{refused:?}");
    for wrong in ["localhost", "ftp://localhost:1", "http://local host"] {
        let refused = ask(wrong, None, None).await;
        assert!(matches!(refused, Err(ClientError::Config(_))), "{wrong}: {refused:?}");
    }
}
