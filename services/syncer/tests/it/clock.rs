//! Observations carry intervals in Postgres's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use upwrite_event_log::{BootClock, Clock, Moment, SoleMember};
use upwrite_events::Interval;
use upwrite_syncer::Config;

use crate::upstream::Upstream;
use crate::world::{World, quick};

#[tokio::test]
async fn the_time_at_which_a_read_was_answered_is_inside_its_interval() {
    let world = World::start(&[("crm", "contact")]).await;
    let upstream = Upstream::new("crm", &world.pool, &[("contact", 3)]);
    let running = world.sync(&upstream);
    world.backfilled("crm", "contact").await;
    world.want("crm", "contact", "contact-0").await;
    world.reread("crm", "contact").await;
    running.stop().await;
    let answers: Vec<i64> = upstream.asked().into_iter().filter_map(|asked| asked.answered_us).collect();
    let seen: Vec<Interval> =
        world.observed("crm", "contact").await.into_iter().map(|observed| observed.seen).collect();
    assert_eq!((answers.len(), seen.len()), (3, 3));
    for (answered, seen) in answers.into_iter().zip(seen) {
        assert!(seen.begun_us < answered && answered < seen.ended_us, "{answered} in {seen:?}");
    }
}

/// Goes on by hours when the test says so.
struct Leaping {
    inner: BootClock,
    ahead_s: AtomicU64,
}

#[async_trait]
impl Clock for Leaping {
    fn now(&self) -> Moment {
        self.inner.now() + Duration::from_secs(self.ahead_s.load(Ordering::Relaxed))
    }

    fn unix_us(&self) -> i64 {
        self.inner.unix_us()
    }

    async fn sleep_until(&self, moment: Moment) {
        self.inner.sleep_until(moment).await;
    }
}

/// The width of an observation an hour after the clock was measured.
async fn an_hour_later(config: Config) -> i64 {
    let world = World::start(&[("crm", "contact")]).await;
    let upstream = Upstream::new("crm", &world.pool, &[("contact", 1)]);
    let clock = Arc::new(Leaping { inner: BootClock::new().unwrap(), ahead_s: AtomicU64::new(0) });
    let membership = SoleMember::of_names(["crm".to_owned()]);
    let running = world.run("alone", config, &[&upstream], Box::new(membership), clock.clone());
    world.backfilled("crm", "contact").await;
    clock.ahead_s.store(3_600, Ordering::Relaxed);
    world.want("crm", "contact", "contact-0").await;
    world.reread("crm", "contact").await;
    running.stop().await;
    let seen = world.observed("crm", "contact").await.pop().unwrap().seen;
    seen.ended_us - seen.begun_us
}

/// 500 ppm of an hour, on either side.
const DRIFT_US: i64 = 3_600_000;

#[tokio::test]
async fn an_hour_old_measurement_is_widened_by_what_clocks_may_drift() {
    let never_again = Config { clock_max_age: Duration::from_secs(86_400), ..quick() };
    let width = an_hour_later(never_again).await;
    assert!(width >= DRIFT_US, "{width}");
}

#[tokio::test]
async fn the_clock_is_measured_again_before_that() {
    let kept = an_hour_later(Config { clock_max_age: Duration::from_secs(86_400), ..quick() }).await;
    let measured_again = an_hour_later(quick()).await;
    assert!(measured_again < kept, "{measured_again} < {kept}");
    assert!(measured_again < DRIFT_US, "not without an excuse of 3.6 s: {measured_again}");
}
