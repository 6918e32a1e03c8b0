use super::*;

#[test]
fn names_are_versioned_and_unique() {
    for (i, topic) in TOPICS.iter().enumerate() {
        assert_eq!(topic.name.rsplit('.').next(), Some("v1"), "{}", topic.name);
        assert!(TOPICS[..i].iter().all(|other| other.name != topic.name), "{}", topic.name);
    }
}

#[test]
fn co_partitioned_topics_have_the_inputs_count() {
    for topic in TOPICS.iter().filter(|topic| topic.group.is_some()) {
        assert_eq!(topic.partitions, Partitions::AsInputs, "{}", topic.name);
    }
}

#[test]
fn a_worker_reads_one_group_and_only_used_topics() {
    for worker in &WORKERS {
        // What is cut alike, or one topic of one partition.
        let first = topic(worker.inputs[0]).unwrap();
        assert_eq!(first.group.is_none(), worker.inputs.len() == 1 && worker.tasks() == Partitions::Own(1));
        for name in worker.inputs {
            assert_eq!(topic(name).unwrap().group, first.group, "{name}");
        }
        for name in worker.reads().chain(worker.outputs.iter().copied()) {
            assert!(topic(name).unwrap().used, "{name}");
        }
    }
}

#[test]
fn every_pattern_is_read_back() {
    assert_eq!(Pattern::of("journal.risk.v1"), Some(Pattern::Journal(RISK)));
    assert_eq!(Pattern::of(anchors_topic(RISK).as_str()), Some(Pattern::Anchors(RISK)));
    assert_eq!(Pattern::of(state_topic(ALERTING).as_str()), Some(Pattern::State(ALERTING)));
    let exec = topic(EXEC_REPORTS).unwrap();
    assert_eq!(Pattern::of(EXEC_REPORTS), Some(Pattern::Fixed(exec)));
    assert_eq!(Pattern::of(dlq_topic(EXEC_REPORTS).as_str()), Some(Pattern::DeadLetters(exec)));
    assert_eq!(Pattern::of(redrive_topic(EXEC_REPORTS).as_str()), Some(Pattern::Redrive(exec)));
    for unknown in ["", "journal..v1", "journal.v1", "orders.v1", "orders.v1.dlq", "journal.a.b.v1"] {
        assert_eq!(Pattern::of(unknown), None, "{unknown}");
    }
}

#[test]
fn what_an_auditor_needs_is_kept_five_years() {
    for name in ["journal.risk.v1", "anchors.alerting.v1", ALERTS, CONTROL, REDRIVES] {
        assert_eq!(Pattern::of(name).unwrap().retention(), Retention::FiveYears, "{name}");
    }
    assert!(FIVE_YEARS > Duration::from_secs(5 * 365 * 86_400));
}

#[test]
fn the_plan_creates_what_is_used_and_nothing_else() {
    let plan = plan(12, DEFAULT_RETENTION);
    let find = |name: &str| plan.iter().find(|planned| planned.name.as_str() == name);
    assert_eq!(find(EXEC_REPORTS).unwrap().partitions, 12);
    assert_eq!(find("exec.reports.v1.dlq").unwrap().partitions, 12);
    assert_eq!(find("heartbeats.v1.dlq").unwrap().partitions, 1);
    assert_eq!(find("state.risk.v1").unwrap().retention, None);
    assert!(find("state.risk.v1").unwrap().compacted);
    assert_eq!(find("journal.risk.v1").unwrap().partitions, 12);
    for of_one_task in ["journal.firm-risk.v1", "anchors.firm-risk.v1", "state.firm-risk.v1"] {
        assert_eq!(find(of_one_task).unwrap().partitions, 1, "{of_one_task}");
    }
    assert_eq!(find("journal.alerting.v1").unwrap().retention, Some(FIVE_YEARS));
    assert_eq!(find(MARKET_DATA).unwrap().retention, Some(DEFAULT_RETENTION));
    assert_eq!(find("exec.reports.v1.redrive").unwrap().partitions, 12);
    assert_eq!(find("market.data.v1.redrive").unwrap().partitions, 4);
    assert_eq!(find(REDRIVES).unwrap().partitions, 1);
    assert_eq!(find(CONTROL).unwrap().retention, Some(FIVE_YEARS));
    for absent in [CONSISTENCY, STRATEGY_DRIFT, "signals.v1.dlq", "signals.v1.redrive"] {
        assert!(find(absent).is_none(), "{absent}");
    }
}

#[test]
fn what_comes_back_and_fails_again_is_a_letter_of_its_source() {
    let redrive = redrive_topic(ACCOUNTS);
    assert!(is_redrive(redrive.as_str()) && !is_redrive(ACCOUNTS));
    assert_eq!((source_of(redrive.as_str()), source_of(ACCOUNTS)), (ACCOUNTS, ACCOUNTS));
    assert_eq!(dlq_topic(redrive.as_str()), dlq_topic(ACCOUNTS));
}
