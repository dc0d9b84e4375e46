//! What tools that know nothing of Upwrite see (grpcurl, probes).

use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::test_server::TestServer;

async fn reflect(channel: Channel, asked: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let request = futures::stream::iter([request]);
    let mut answers = ServerReflectionClient::new(channel).server_reflection_info(request).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap().message_response.unwrap()
}

#[tokio::test]
async fn the_api_describes_itself() {
    let server = TestServer::start().await;
    let channel = Channel::from_shared(server.address.clone()).unwrap().connect().await.unwrap();
    let MessageResponse::ListServicesResponse(services) =
        reflect(channel.clone(), MessageRequest::ListServices(String::new())).await
    else {
        panic!("not a list of services");
    };
    let names: Vec<String> = services.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"upwrite.control.v1.Control".to_owned()), "{names:?}");
    let symbol = MessageRequest::FileContainingSymbol("upwrite.control.v1.Control".to_owned());
    let MessageResponse::FileDescriptorResponse(files) = reflect(channel, symbol).await else {
        panic!("no descriptor");
    };
    assert!(!files.file_descriptor_proto.is_empty());
}

#[tokio::test]
async fn health() {
    let server = TestServer::start().await;
    let channel = Channel::from_shared(server.address.clone()).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    for service in ["", "upwrite.control.v1.Control"] {
        let asked = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(asked).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "SERVING");
    }
}
