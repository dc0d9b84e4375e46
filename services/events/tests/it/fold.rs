//! The fold is total: any events, in any order, with repeats.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use upwrite_events::*;

use crate::any::event;

/// Everything that a fold knows.
fn state(fold: &PartitionFold) -> (Option<OwnerId>, BTreeMap<MutationId, Lifecycle>) {
    (fold.owner(), fold.iter().map(|(id, lifecycle)| (id, lifecycle.clone())).collect())
}

/// Folds `events`; after each one calls `check` with the fold before it, the event, the answer, and the fold after it.
fn fold(
    events: &[Event],
    mut check: impl FnMut(&PartitionFold, &Event, &Result<Transition, IllegalTransition>, &PartitionFold),
) {
    let mut after = PartitionFold::default();
    for (position, event) in (0..).map(Position).zip(events) {
        let before = after.clone();
        let answer = after.apply(position, event);
        check(&before, event, &answer, &after);
    }
}

/// What each phase says of the rows.
fn documented(life: &Lifecycle) -> Result<(), String> {
    let count = |wanted: fn(&RowState) -> bool| life.rows.iter().filter(|state| wanted(state)).count();
    let pending = count(|state| matches!(state, RowState::Pending));
    let applied = count(|state| matches!(state, RowState::Applied(_)));
    let rejected = count(|state| matches!(state, RowState::Rejected));
    let in_doubt = count(|state| matches!(state, RowState::InDoubt));
    let all = life.rows.len();
    let holds = match life.phase {
        Phase::Requested => all > 0 && pending == all && life.attempts == 0,
        Phase::Attempted | Phase::Deferred => pending > 0,
        Phase::Applied => all > 0 && applied == all,
        Phase::Rejected => all > 0 && rejected == all && life.failure.is_some(),
        Phase::Partial => applied > 0 && rejected > 0 && applied + rejected == all,
        Phase::InDoubt => in_doubt > 0 && pending == 0,
        Phase::Revoked => all > 0 && pending == all,
        Phase::Voided => all == 0,
        Phase::Dead => life.failure.is_some(),
    };
    let verdict = life.verdict().is_some() == life.phase.is_finished();
    let waits = life.not_before_us.is_none() || !life.phase.is_finished();
    let released = !life.is_released() || life.phase.is_finished();
    if holds && verdict && waits && released { Ok(()) } else { Err(format!("{life:?}")) }
}

fn assert_documented(fold: &PartitionFold) {
    for (id, life) in fold.iter() {
        if let Err(life) = documented(life) {
            panic!("{id} is in no documented state: {life}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_events_fold_to_a_documented_state(events in vec(event(), 0..40)) {
        fold(&events, |before, event, answer, after| {
            assert_documented(after);
            match answer {
                Ok(Transition::Changed(id)) => {
                    assert_eq!(Some(*id), event.mutation());
                    assert_ne!(before.get(*id), after.get(*id));
                }
                Ok(Transition::Owner) => assert!(event.mutation().is_none()),
                // Nothing else changes anything.
                Ok(Transition::Repeat(_) | Transition::Evidence(_) | Transition::Other) | Err(_) => {
                    assert_eq!(state(before), state(after), "{event:?} {answer:?}");
                }
            }
        });
    }

    #[test]
    fn an_event_twice_in_a_row_is_a_repeat(events in vec(event(), 0..40)) {
        fold(&events, |_, event, first, after| {
            let mut again = after.clone();
            let second = again.apply(Position(1000), event);
            assert_eq!(state(after), state(&again));
            match first {
                Ok(Transition::Changed(id)) => assert_eq!(second, Ok(Transition::Repeat(*id))),
                other => assert_eq!(second, *other),
            }
        });
    }

    #[test]
    fn a_verdict_stays(events in vec(event(), 0..60)) {
        fold(&events, |before, event, _, after| {
            for (id, old) in before.iter().filter(|(_, life)| life.phase.is_finished()) {
                let new = after.get(id).expect("nothing is forgotten unasked");
                let settles = matches!(event, Event::MutationSettled(_) | Event::MutationDead(_));
                if old.phase != Phase::InDoubt || !settles || event.mutation() != Some(id) {
                    assert_eq!(new.verdict(), old.verdict(), "{event:?}");
                    assert_eq!(new.phase, old.phase, "{event:?}");
                }
            }
        });
    }

    #[test]
    fn what_was_applied_stays_applied_and_revoked_is_never_applied(events in vec(event(), 0..60)) {
        fold(&events, |before, event, _, after| {
            for (id, old) in before.iter() {
                let new = after.get(id).expect("nothing is forgotten unasked");
                assert!(old.applied().all(|row| new.applied().any(|other| other == row)), "{event:?}");
                if old.phase == Phase::Revoked {
                    assert_eq!(new.applied().count(), 0, "{event:?}");
                }
                assert!(old.attempts <= new.attempts && (new.maybe_sent || !old.maybe_sent));
            }
        });
    }

    #[test]
    fn the_first_of_void_and_request_counts(events in vec(event(), 0..60)) {
        let mut first: BTreeMap<MutationId, bool> = BTreeMap::new();
        for event in &events {
            match event {
                Event::MutationVoided(voided) => _ = first.entry(voided.mutation).or_insert(true),
                Event::MutationRequested(request) if !request.rows.is_empty() => {
                    first.entry(request.mutation).or_insert(false);
                }
                _ => {}
            }
        }
        let mut last = PartitionFold::default();
        fold(&events, |_, _, _, after| last = after.clone());
        let voided: BTreeMap<_, _> = last.iter().map(|(id, life)| (id, life.phase == Phase::Voided)).collect();
        prop_assert_eq!(voided, first);
    }

    /// A restart in the middle, from what the projection holds, ends where an uninterrupted fold does.
    #[test]
    fn a_restored_fold_goes_on_as_the_first(events in vec(event(), 0..40), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(events.len() + 1);
        let mut fold = PartitionFold::default();
        let mut restored = PartitionFold::default();
        for (index, event) in events.iter().enumerate() {
            if index == cut {
                let mutations = fold.iter().map(|(id, life)| {
                    let text = serde_json::to_string(life).unwrap();
                    (id, serde_json::from_str(&text).unwrap())
                });
                restored = PartitionFold::restore(fold.owner(), mutations);
            }
            let position = Position(index as i64);
            let answer = fold.apply(position, event);
            if index >= cut {
                prop_assert_eq!(restored.apply(position, event), answer);
            }
        }
        if cut < events.len() {
            prop_assert_eq!(state(&fold), state(&restored));
        }
    }

    #[test]
    fn what_is_forgotten_changes_nothing_any_more(events in vec(event(), 0..40), late in vec(event(), 0..20)) {
        let mut fold = PartitionFold::default();
        for event in &events {
            let _ = fold.apply(Position(0), event);
        }
        let released: Vec<_> = fold.iter().filter(|(_, life)| life.is_released()).map(|(id, _)| id).collect();
        for id in &released {
            fold.forget(*id);
        }
        for event in &late {
            let answer = fold.apply(Position(1), event);
            if event.mutation().is_some_and(|id| released.contains(&id)) {
                prop_assert_eq!(answer, Ok(Transition::Repeat(event.mutation().unwrap())));
            }
        }
        prop_assert!(released.iter().all(|id| fold.get(*id).is_none()));
    }
}
