//! What every log must do. Each backend runs the same tests: see [`suite`].

#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "test code, outside of functions that are marked as tests")]

pub mod fixture;
pub mod groups;
pub mod reading;
pub mod topics;
pub mod writing;

pub use fixture::{Backend, Fixture};

/// Makes one `#[test]` of every test of the contract. `$backend` is an expression of type
/// `Option<impl Backend>`; none skips, and must have said why.
macro_rules! suite {
    ($backend:expr) => {
        $crate::contract::suite!(@ $backend, topics:
            creating_again_changes_nothing,
            another_partition_count_is_an_error,
            a_missing_topic_is_named,
            bounds_follow_what_is_written,
        );
        $crate::contract::suite!(@ $backend, writing:
            offsets_rise_in_each_partition,
            a_round_is_seen_whole,
            a_refused_round_leaves_nothing,
            nulls_headers_and_big_records_come_back,
            timestamps_are_kept_or_given,
            a_newer_writer_fences_the_older,
            recovery_keeps_what_was_acknowledged,
            published_records_keep_their_order,
        );
        $crate::contract::suite!(@ $backend, reading:
            the_end_is_told_once_each_time,
            seeking_by_offset_and_by_time,
            pausing_loses_nothing_and_delivers_nothing,
            unassigned_partitions_are_silent,
            a_reader_waits_for_news,
            out_of_range_is_an_error,
            a_compacted_topic_folds_to_its_last_values,
        );
        $crate::contract::suite!(@ $backend, groups:
            one_member_gets_everything,
            two_members_keep_co_partitioned_topics_together,
            a_third_member_joins_and_leaves,
            a_silent_member_is_replaced,
            outputs_and_positions_commit_together,
            positions_need_a_fence,
            a_zombie_is_fenced,
            a_zombie_is_fenced_with_unchanged_positions,
            a_foreign_partition_is_fenced,
            the_same_instance_takes_over,
            unequal_partition_counts_are_an_error,
        );
    };
    (@ $backend:expr, $module:ident: $($test:ident,)*) => {
        mod $module {
            use super::*;
            $(
                #[test]
                fn $test() {
                    if let Some(backend) = $backend {
                        $crate::contract::$module::$test(&$crate::contract::Fixture::new(&backend));
                    }
                }
            )*
        }
    };
}
pub(crate) use suite;
