//! The conformance suite: what any connector must do against the stand-in of its vendor. A vendor's tests implement
//! [`Subject`] and name each property by [`crate::conformance`]. Only with the feature `testing`; it panics where a
//! property does not hold.

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

mod budget;
mod host;
mod lost;
mod rows;
mod subject;
mod wire;

pub use budget::{a_limit_rests_the_budget_whoever_meets_it, each_request_takes_one_token};
pub use lost::{a_lost_answer_is_found_and_not_doubled, a_lost_answer_to_an_update_is_unknown};
pub use rows::{
    keys_are_read_in_order_and_unknown_ones_are_absent, objects_become_tables, one_result_a_row_in_order,
    records_live_and_die, refusals_read_as_postgres_would_say_them, what_upstream_changes_is_the_same,
};
pub use subject::{RefusalCase, SameCase, Subject, Target, Trouble};
pub use wire::{an_unreachable_host_has_got_nothing, no_body_makes_it_panic};

/// One test for each property, for the subject that an async function makes.
#[macro_export]
macro_rules! conformance {
    ($subject:path) => {
        $crate::conformance!(@each $subject:
            objects_become_tables,
            records_live_and_die,
            one_result_a_row_in_order,
            refusals_read_as_postgres_would_say_them,
            keys_are_read_in_order_and_unknown_ones_are_absent,
            what_upstream_changes_is_the_same,
            a_lost_answer_is_found_and_not_doubled,
            a_lost_answer_to_an_update_is_unknown,
            a_limit_rests_the_budget_whoever_meets_it,
            each_request_takes_one_token,
            an_unreachable_host_has_got_nothing,
            no_body_makes_it_panic
        );
    };
    (@each $subject:path: $($property:ident),+) => {
        $(
            #[tokio::test]
            async fn $property() {
                $crate::testing::$property(&$subject().await).await;
            }
        )+
    };
}
