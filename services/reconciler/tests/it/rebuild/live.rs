//! Rebuilt while reconcilers and writers go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use upwrite_events::*;
use upwrite_reconciler::Rebuild;

use super::{damage, rebuild_table};
use crate::deployment::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_goes_on_beside_writes() {
    let deployment = Arc::new(TestDeployment::start().await);
    for chunk in 0..4 {
        let rows = (0..500).map(|n| seen_row(&format!("{chunk}-{n}"), "Ada", "1")).collect();
        deployment.observe((chunk * 10, chunk * 10 + 1), rows).await;
    }
    damage(
        &deployment,
        "update crm.contact set name = 'Mallory' where id like '3-%'; delete from crm.contact where id like '2-%'",
    )
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3_i64)
        .map(|writer| {
            let (deployment, stop) = (Arc::clone(&deployment), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut step = 0;
                while !stop.load(Ordering::Relaxed) {
                    step += 1;
                    // Of its own rows and of damaged ones.
                    let key = format!("{}-{}", 1 + step % 3, writer * 160 + step % 160);
                    let (seen, version) = ((step * 100, step * 100 + 9), format!("2-{step:06}"));
                    let (mutation, partition) = deployment.submit(change(Op::Update, &key, "new")).await;
                    let name = format!("step {step}");
                    let row = applied_row(&key, Some(image(&key, &name, "3")), Some(&version), seen);
                    deployment.outcome(partition, deployment.applied(mutation, vec![row])).await;
                    assert_eq!(deployment.finished(mutation).await, "applied");
                }
                step
            })
        })
        .collect();
    let (mut mended, mut runs) = (0, 0);
    while runs < 3 {
        let (teller, mut told) = tokio::sync::mpsc::channel(8);
        let report =
            Rebuild::new(deployment.reconciler.clone(), deployment.log.clone(), Some(teller)).table(&table()).await;
        let report = report.unwrap();
        assert_eq!(report.rows, 2000, "{report:?}");
        mended += report.mended + report.inserted;
        assert!(told.recv().await.is_some(), "progress is told");
        runs += 1;
        if runs > 1 {
            assert!(report.locked > 0 || !report.changed(), "a later one finds nothing to mend: {report:?}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut steps = 0;
    for writer in writers {
        steps += writer.await.unwrap();
    }
    assert!(steps > 20, "writers went on: {steps} steps");
    assert!(mended > 900, "of 1000 damaged rows, those that no writer changed first: {mended}");
    let last = rebuild_table(&deployment).await;
    assert!(!last.changed(), "{last:?}");
    let wrong: i64 = deployment.value("select count(*) from crm.contact where name = 'Mallory'").await.unwrap();
    assert_eq!(wrong, 0);
}
