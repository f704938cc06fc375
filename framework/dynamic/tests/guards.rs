//! Every function that the other side calls is guarded, so that no panic crosses.

use std::path::Path;

/// Calls that catch panics, or lead to one that does.
const GUARDS: [&str; 12] = [
    "guard(",
    "or_broken(",
    "about(",
    "answer(",
    "answer_now(",
    "create::<",
    "with(",
    "code(",
    "options::schema(",
    "options::validate(",
    "part::enter(",
    "Status::CLOSED",
];

/// They cannot panic: no allocation, no index, nothing that is unwrapped.
const TOO_SMALL: [&str; 4] = ["now_us", "query", "retain", "release"];

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            sources(&path, found);
        } else if !path.components().any(|part| part.as_os_str() == "tests") {
            let text = std::fs::read_to_string(&path).expect("it can be read");
            found.push((path.display().to_string(), text));
        }
    }
}

#[test]
fn every_function_that_the_other_side_calls_is_guarded() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut count = 0;
    for (path, text) in files {
        let unwinding = ["C", "-unwind"].concat();
        assert!(!text.contains(&unwinding), "{path}: a panic must not unwind into C");
        for definition in text.split("extern \"C\" fn ").skip(1) {
            let Some((name, _)) = definition.split_once(['(', '<', ' ']) else { continue };
            // A type has no name there, and no body.
            let Some((_, body)) = definition.split_once('{').filter(|_| !name.is_empty()) else {
                continue;
            };
            let body = body.split("unsafe extern").next().unwrap_or(body);
            // What reads the arguments in a macro is in the closure that is guarded.
            let before = body.split("$reader(").next().filter(|_| name.starts_with('$'));
            let is_within = before.is_none_or(|before| before.contains("let begin = |"));
            assert!(is_within, "{path}: `{name}` reads its arguments where nothing is guarded");
            let is_guarded = GUARDS.iter().any(|guard| body.contains(guard));
            assert!(is_guarded || TOO_SMALL.contains(&name), "{path}: `{name}` is not guarded");
            count += 1;
        }
    }
    assert!(count > 40, "only {count} functions were found");
}
