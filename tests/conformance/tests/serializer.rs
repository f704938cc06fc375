//! Each fault of a serializer is found by a case. That the cases pass with sound ones is shown by
//! the serializers of Larder themselves.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU16, Ordering};

use larder_conformance::serializer::{self, Carries};
use larder_core::serializer::Visit;
use larder_core::{CacheError, ErrorKind, Result, Serializer, erased_serde};

/// What the serializer does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    AddsABlank,
    BendsNumbers,
    ChangesItsFormat,
    ClearsTheOutput,
    CountsItsCalls,
    DecodesTwice,
    PanicsOnRandomBytes,
    ReadsTheCut,
    TakesWhatIsLeft,
    TrustsLengths,
}

/// JSON, on request with a fault.
#[derive(Debug)]
struct Text {
    fault: Fault,
    calls: AtomicU16,
}

fn failed(error: &dyn std::fmt::Display) -> CacheError {
    CacheError::new(ErrorKind::Serialization, "it does not fit").with("cause", error.to_string())
}

impl Serializer for Text {
    fn format(&self) -> u16 {
        match self.fault {
            Fault::ChangesItsFormat => 1 + self.calls.load(Ordering::Relaxed),
            _ => 1,
        }
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut text = serde_json::to_string(value).map_err(|error| failed(&error))?;
        match self.fault {
            Fault::AddsABlank => text = format!("{text} x"),
            Fault::BendsNumbers => text = text.replace("300", "44"),
            Fault::ClearsTheOutput => out.clear(),
            Fault::CountsItsCalls => text = format!("{text}{}", " ".repeat(calls.into())),
            _ => {}
        }
        out.extend(text.as_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        if self.fault == Fault::PanicsOnRandomBytes {
            assert!(bytes.is_ascii(), "not what was expected");
        }
        if self.fault == Fault::TrustsLengths && bytes.len() == 1 << 16 {
            return Err(CacheError::new(ErrorKind::Plugin, "out of memory")).inspect_err(|_| {
                panic!("out of memory");
            });
        }
        let whole;
        let mut bytes = bytes;
        if self.fault == Fault::ReadsTheCut && !bytes.ends_with(b"}") && bytes.len() > 10 {
            whole = [bytes, b"}"].concat();
            bytes = &whole;
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json))
            .map_err(|error| failed(&error))?;
        if self.fault == Fault::DecodesTwice {
            let mut json = serde_json::Deserializer::from_slice(bytes);
            visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json))
                .map_err(|error| failed(&error))?;
        }
        match self.fault {
            Fault::TakesWhatIsLeft => Ok(()),
            _ => json.end().map_err(|error| failed(&error)),
        }
    }
}

#[test]
fn every_fault_is_found() {
    type Case = fn(&dyn Serializer, Carries);
    let faults: [(Fault, Case); 10] = [
        (Fault::AddsABlank, serializer::values_of_every_shape_come_back),
        (Fault::BendsNumbers, serializer::what_comes_back_is_what_went_in),
        (Fault::ChangesItsFormat, serializer::the_format_stays),
        (Fault::ClearsTheOutput, serializer::output_is_appended),
        (Fault::CountsItsCalls, serializer::both_ways_keep_no_state),
        (Fault::DecodesTwice, serializer::values_of_every_shape_come_back),
        (Fault::PanicsOnRandomBytes, serializer::random_bytes_never_panic),
        (Fault::ReadsTheCut, serializer::cut_bytes_are_refused),
        (Fault::TakesWhatIsLeft, serializer::bytes_that_are_left_over_are_refused),
        (Fault::TrustsLengths, serializer::bombs_are_refused),
    ];
    for (fault, case) in faults {
        let text = Text { fault, calls: AtomicU16::new(0) };
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&text, Carries::All)));
        assert!(outcome.is_err(), "{fault:?} is not found");
    }
}
