//! What is wrong before there is a process that works.

use std::path::PathBuf;

use larder_core::library::{Fault, Isolation, Trust};
use larder_core::plugin::Factory;
use larder_core::{KeyPath, Slot};
use minisign::KeyPair;
use serde_json::json;

use crate::support::{self, poisonous};

fn refused(name: &str, runner: PathBuf) -> larder_core::library::Refusal {
    let library = poisonous(name);
    let isolation = Isolation::Process { runner: Some(runner) };
    *support::load(&library.request().isolation(isolation)).unwrap_err()
}

#[test]
fn a_runner_that_is_not_there_is_refused_with_what_to_do() {
    let refusal = refused("lonely", PathBuf::from("/nowhere/larder-runner"));
    assert_eq!(refusal.fault, Fault::Runner);
    let text = refusal.to_string();
    for part in ["/nowhere/larder-runner", "there is no such file", "LARDER_RUNNER", "install"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn another_program_is_no_runner() {
    let refusal = refused("echoing", PathBuf::from("/bin/cat"));
    assert_eq!(refusal.fault, Fault::Runner, "{refusal}");
    let refusal = refused("silent", PathBuf::from("/bin/true"));
    assert_eq!(refusal.fault, Fault::Runner, "{refusal}");
    assert!(refusal.message.contains("greet"), "{refusal}");
}

#[test]
fn a_library_that_is_refused_has_no_process() {
    let library = poisonous("honest");
    let mut request = library.request();
    request.name = "other".to_owned();
    let refusal = support::load(&request).unwrap_err();
    assert_eq!(refusal.fault, Fault::Name, "{refusal}");
    support::load(&library.request()).unwrap();
    let refusal = support::load(&request).unwrap_err();
    assert_eq!(refusal.fault, Fault::Name, "also of one that is known: {refusal}");
    let request = library.request().provides(["backend:acme.other"]);
    let refusal = support::load(&request).unwrap_err();
    assert_eq!(refusal.fault, Fault::Provides, "{refusal}");
}

#[test]
fn a_library_that_is_signed_runs_without_a_pin() {
    let library = poisonous("signed");
    let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
    let request = library.request().trust(Trust::Undecided).signed_by([pk.to_base64()]);
    assert_eq!(support::load(&request).unwrap_err().fault, Fault::NotSigned);
    let bytes = std::fs::read(library.path()).unwrap();
    let signature = minisign::sign(Some(&pk), &sk, &bytes[..], None, None).unwrap();
    let beside = library.path().with_extension("so.minisig");
    std::fs::write(beside, signature.into_string()).unwrap();
    let descriptors = support::load(&request).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(descriptors.len(), 1);
}

#[test]
fn options_are_described_and_checked_from_there() {
    let library = poisonous("checking");
    let descriptors = support::load(&library.request()).unwrap();
    let [descriptor] = &descriptors[..] else { panic!("it has one component") };
    assert_eq!((descriptor.slot, descriptor.kind), (Slot::Backend, "acme.checking"));
    assert_eq!((descriptor.origin, descriptor.version), ("checking", "1.0.0"));
    let Factory::Backend(factory) = descriptor.factory else { panic!("it is a backend") };
    let schema = factory.config().schema();
    assert!(schema.as_value()["properties"]["capacity"].is_object(), "{schema:?}");
    let at = KeyPath::from_segments(["caches", "users"]);
    factory.config().check(&json!({"capacity": 12}), &at).unwrap();
    let problems = factory.config().check(&json!({"capacity": 13}), &at).unwrap_err();
    assert_eq!(problems.to_string(), "`caches.users.capacity`: 13 brings bad luck");
}
