use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::test_server::TestServer;

#[tokio::test]
async fn a_deployment_at_rest_is_healthy_and_says_who_does_what() {
    let server = TestServer::start().await;
    let (mutation, partition, _) = server.request("a", "app").await;
    server.fold_all().await;
    server.sql("update upwrite.tables set backfilled_at = now()").await;
    server
        .sql(
            r#"insert into upwrite.processes (id, host, pid, version, stages, status) values
                 (gen_random_uuid(), 'here', 7, '0.1.0', '{proxy,applier,reconciler,syncer}',
                  '{"proxy": {"held": 1, "clients": 4}}')"#,
        )
        .await;
    // As event-log's groups do.
    let options = server.pool.connect_options().as_ref().clone().application_name("upwrite group applier 7@here");
    let mut session = PgConnection::connect_with(&options).await.unwrap();
    let lock = format!("select pg_advisory_lock(1234, {})", partition.number + 1);
    session.execute(AssertSqlSafe(lock)).await.unwrap();

    let mut client = server.client().await;
    let status = client.status().await.unwrap();
    assert_eq!((status.healthy, &status.problems[..], &status.warnings[..]), (true, &[][..], &[][..]));

    let binding = status.binding.unwrap();
    assert_eq!((binding.log_engine.as_str(), binding.partitions), ("postgres", 2));
    assert_eq!((binding.version.as_str(), binding.timeline), ("0.1.0-test", 1));
    let process = &status.processes[0];
    assert!(process.alive);
    assert_eq!((process.pid, process.held, process.clients), (7, Some(1), Some(4)));
    let counts = status.counts.unwrap();
    assert_eq!((counts.held, counts.claims, counts.unfinished, counts.in_doubt), (1, 1, 1, 0));
    assert!(counts.oldest_claim_at.is_some());

    assert_eq!(status.partitions.len(), 4);
    let here = status.partitions.iter().find(|p| p.stream == "mutations" && p.number == u32::from(partition.number));
    let here = here.unwrap();
    assert_eq!((here.start, here.end, here.position, here.lag), (Some(0), Some(1), 1, Some(0)));
    assert_eq!((here.unfinished, here.applier.as_deref()), (1, Some("here/7")));
    assert_eq!(here.owner.as_deref(), Some(server.owner.to_string().as_str()));

    server.apply(mutation, partition).await;
    let status = client.status().await.unwrap();
    let behind = status.partitions.iter().find(|p| p.stream == "mutations" && p.number == u32::from(partition.number));
    let behind = behind.unwrap();
    assert_eq!((behind.lag, behind.unfinished), (Some(1), 0));
    assert!(behind.lag_since.is_some());
    assert_eq!(status.counts.unwrap().claims, 0);

    server.sql("delete from upwrite.processes").await;
    session.close().await.unwrap();
    let status = client.status().await.unwrap();
    assert!(!status.healthy);
    assert!(status.problems.contains(&"no process runs the applier".to_owned()), "{:?}", status.problems);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let server = TestServer::start().await;
    server.fold_all().await;
    server
        .sql(
            "update upwrite.deployment set timeline = 7;
             update upwrite.positions set next_position = 5 where stream = 'mutations' and partition = 1;
             insert into upwrite.dead_letters (stream, partition, position, reason) values ('mutations', 0, 0, 'no avro');
             insert into upwrite.conflicts (source, table_name, key, sqlstate, message)
                 values ('crm', 'contact', 'a', '23514', 'no')",
        )
        .await;
    let status = server.client().await.status().await.unwrap();
    for expected in
        ["the database is on timeline 1, recorded is 7", "mutations/1 was folded up to 5, and the log ends at 0"]
    {
        assert!(status.problems.iter().any(|problem| problem.contains(expected)), "{expected}: {:?}", status.problems);
    }
    for expected in ["events in upwrite.dead_letters: 1", "crm.contact has not been read completely yet"] {
        assert!(status.warnings.iter().any(|warning| warning == expected), "{expected}: {:?}", status.warnings);
    }
    assert_eq!(status.tables[0].conflicts, 1);
}

#[tokio::test]
async fn a_database_that_was_not_set_up_is_said_to_be_so() {
    let server = TestServer::start().await;
    server.sql("drop table upwrite.processes").await;
    let error = server.client().await.status().await.unwrap_err();
    assert!(error.to_string().contains("run `upwrite setup`"), "{error}");
}
