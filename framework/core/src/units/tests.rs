//! Tests of the typed strings.

use std::time::Duration;

use super::*;

fn duration(text: &str) -> Result<Duration, UnitError> {
    text.parse::<HumanDuration>().map(|duration| duration.0)
}

#[test]
fn durations_need_a_unit_and_refuse_months_and_years() {
    assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(duration("2h 5s"), Ok(Duration::from_secs(7205)));
    assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
    assert_eq!(duration("1800"), Err(UnitError::NoUnit { number: "1800".into() }));
    assert_eq!(duration("5M"), Err(UnitError::Month { number: "5".into() }));
    assert_eq!(duration("1h5M"), Err(UnitError::Month { number: "5".into() }));
    assert_eq!(duration("2y"), Err(UnitError::Year { number: "2".into() }));
    for text in ["", "fast", "-5s", "1e3s", "5 parsecs", "99999999999999999999s"] {
        assert!(matches!(duration(text), Err(UnitError::Syntax { .. })), "{text}");
    }
}

#[test]
fn a_duration_prints_as_it_parses() {
    for text in ["1h30m", "1s500ms", "2w", "7ns", "14d"] {
        let parsed: HumanDuration = text.parse().unwrap();
        assert_eq!(parsed.to_string().parse::<HumanDuration>().unwrap(), parsed);
    }
    assert_eq!(HumanDuration(Duration::from_secs(1_209_600)).to_string(), "2w");
}

#[test]
fn lives_know_never() {
    assert_eq!("never".parse(), Ok(Life::Never));
    assert_eq!("none".parse(), Ok(Life::Never));
    assert_eq!("5s".parse(), Ok(Life::For(Duration::from_secs(5))));
    assert_eq!(Life::Never.min(Life::For(Duration::ZERO)), Life::For(Duration::ZERO));
}

#[test]
fn sizes_must_say_1000_or_1024() {
    assert_eq!("256MiB".parse(), Ok(ByteSize(268_435_456)));
    assert_eq!("256MB".parse(), Ok(ByteSize(256_000_000)));
    assert_eq!("1.5KiB".parse(), Ok(ByteSize(1536)));
    assert_eq!("10 kB".parse(), Ok(ByteSize(10_000)));
    let ambiguous = UnitError::AmbiguousSize { number: "256".into(), unit: 'M' };
    assert_eq!("256M".parse::<ByteSize>(), Err(ambiguous.clone()));
    assert_eq!("256m".parse::<ByteSize>(), Err(ambiguous));
    assert_eq!("64".parse::<ByteSize>(), Err(UnitError::NoUnit { number: "64".into() }));
    assert!("64mib".parse::<ByteSize>().is_err());
    assert_eq!(ByteSize(64 << 20).to_string(), "64MiB");
}

#[test]
fn shares_are_numbers_or_percentages() {
    let share = |text: &str| serde_json::from_str::<Share>(text).map(Share::get).ok();
    assert_eq!(share("0.8"), Some(0.8));
    assert_eq!(share("\"10%\""), Some(0.1));
    assert_eq!(share("1"), Some(1.0));
    assert_eq!(share("2"), None);
    assert_eq!(share("\"110%\""), None);
    assert_eq!(Share::new(0.07).unwrap().to_string(), "7%");
}

#[test]
fn a_secret_does_not_print() {
    let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
    assert_eq!(format!("{secret:?}"), "•••");
    assert_eq!(secret.expose(), "hunter2");
}
