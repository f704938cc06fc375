//! Libraries that say about themselves what the header does not allow.

use larder_core::Slot;
use larder_core::library::Fault;
use serde_json::json;

use crate::support::plugin;

#[test]
fn a_library_that_keeps_the_rules_is_described() {
    let made = plugin("acme.good", &["-DSCHEMA=with_size"]);
    let library = made.open().unwrap();
    assert_eq!((library.name, library.version), ("acme.good", "1.2.3"));
    let [component] = &library.components[..] else { panic!("{:?}", library.components) };
    assert_eq!((component.name, component.summary), ("acme.good", "keeps nothing"));
    assert_eq!(
        (component.table.slot(), component.id().as_str()),
        (Slot::Backend, "backend:acme.good")
    );
    assert_eq!(component.schema["properties"], json!({ "size": { "type": "integer" } }));
    assert_eq!(made.ran(), "ce");
}

#[test]
fn a_component_without_a_schema_has_no_options() {
    let library = plugin("acme.plain", &[]).open().unwrap();
    let schema = &library.components[0].schema;
    assert_eq!(*schema, json!({ "type": "object", "additionalProperties": false }));
}

#[test]
fn a_broken_rule_is_refused() {
    let cases: [(&[&str], &str); 14] = [
        (&["-DOUT=0"], "it is null"),
        (&["-DOUT=((char*)&plugin+1)"], "its address is not aligned"),
        (&["-DSIZE=0"], "it says that it has 0 bytes"),
        (&["-DSIZE=8"], "it says that it has 8 bytes"),
        (&["-DSIZE=1<<30"], "it says that it has 1073741824 bytes"),
        (&["-DTABLE=0"], "it is null"),
        (&["-DGET=0"], "it has no function `get`"),
        (&["-DCAPS=LARDER_CAP_LEASE"], "can do `lease`, and has no function `lease`"),
        (&["-DCOUNT=10000"], "10000 components, more than 256"),
        (&["-DKIND=\"\\xff\\xfe\""], "is not UTF-8"),
        (&["-DKIND=\"Acme Cache\""], "`Acme Cache` is no name of a component"),
        (&["-DKIND=\"\""], "`` is no name of a component"),
        (&["-DMORE=&backend"], "two components are"),
        (&["-DDESCRIBED=\"acme.other\""], "its name is `acme.other`"),
    ];
    for (index, (options, said)) in cases.into_iter().enumerate() {
        let made = plugin(&format!("acme.bad-{index}"), options);
        let text = made.refused_after_it_ran(Fault::Descriptor);
        assert!(text.contains(said), "{options:?}: {text}");
    }
}

#[test]
fn a_component_of_a_kind_of_the_future_is_left_out() {
    let library = plugin("acme.future", &["-DMORE=&future"]).open().unwrap();
    assert_eq!(library.components.len(), 1);
}

#[test]
fn a_schema_that_is_none_is_refused() {
    let schemas = ["no_json", "no_object", "no_answer", "long_schema"];
    for (index, schema) in schemas.into_iter().enumerate() {
        let made = plugin(&format!("acme.schema-{index}"), &[&format!("-DSCHEMA={schema}")]);
        made.refused_after_it_ran(Fault::Schema);
    }
}

#[test]
fn what_the_entry_function_says_is_passed_on() {
    let text = plugin("acme.fails", &["-DFAILS"]).refused_after_it_ran(Fault::Entry);
    assert!(text.contains("could not start: the licence has expired"), "{text}");
}

#[test]
fn a_library_that_was_refused_after_it_ran_is_not_started_again() {
    let made = plugin("acme.once", &["-DGET=0"]);
    made.refused_after_it_ran(Fault::Descriptor);
    made.refused_after_it_ran(Fault::Descriptor);
    assert_eq!(made.ran(), "ce");
}
