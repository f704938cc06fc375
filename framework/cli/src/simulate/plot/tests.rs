//! What stands in a plot.

use roxmltree::Document;

use super::*;
use crate::simulate::capacity::Capacity;

fn simulation(trace: &str, policies: &[&str], capacities: &[u64]) -> Simulation {
    let sizes = capacities.iter().map(|entries| {
        let capacity: Capacity = entries.to_string().parse().expect("it is a number");
        capacity.of(1)
    });
    let outcome = |policy: &str, capacity: u64| Outcome {
        policy: policy.to_owned(),
        capacity,
        hits: capacity,
        requests: 1000,
    };
    Simulation {
        trace: trace.to_owned(),
        requests: 1000,
        keys: 500,
        sizes: sizes.collect(),
        outcomes: policies
            .iter()
            .flat_map(|policy| capacities.iter().map(move |entries| outcome(policy, *entries)))
            .collect(),
    }
}

fn texts(document: &Document<'_>) -> Vec<String> {
    let nodes = document.descendants().filter(|node| node.has_tag_name("text"));
    nodes.map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_policy_has_a_line_and_a_name_in_every_panel() {
    let many: Vec<String> = (0..25).map(|number| format!("policy-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let simulations =
        [simulation("a.u32", &many, &[300, 100]), simulation("b", &["lru", "opt"], &[10, 100, 20])];
    let svg = svg(&simulations);
    let document = Document::parse(&svg).expect("it is XML");
    let titles: Vec<&str> = document
        .descendants()
        .filter(|node| node.attribute("class").is_some_and(|class| class.starts_with("series")))
        .filter_map(|node| node.first_element_child()?.text())
        .collect();
    let texts = texts(&document);
    for name in many.iter().chain(&["lru", "opt"]) {
        assert!(titles.contains(name), "{name} has no line");
        assert!(texts.iter().any(|text| text == name), "{name} is not in the legend");
    }
    assert_eq!(titles.len(), 27);
    for label in ["a.u32", "b", "1,000 requests, 500 keys", "hit ratio", "10", "100", "20%"] {
        assert!(texts.iter().any(|text| text == label), "{label} is missing");
    }
}

#[test]
fn lines_go_from_the_smallest_cache_to_the_largest() {
    let svg = svg(&[simulation("a", &["lru"], &[300, 100, 200])]);
    let document = Document::parse(&svg).expect("it is XML");
    let line = document.descendants().find(|node| node.has_tag_name("polyline"));
    let points = line.and_then(|line| line.attribute("points")).expect("there is a line");
    let ends = points.split(' ').map(|point| {
        let (x, y) = point.split_once(',').expect("a point is a pair");
        (x.parse::<f64>().expect("a number"), y.parse::<f64>().expect("a number"))
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 3);
    assert!(ends.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 > two[1].1), "{ends:?}");
}

#[test]
fn names_are_written_so_that_xml_stays_whole() {
    let svg = svg(&[simulation("folder/<a> & \"b\"\u{1}", &["s3-fifo{a=\"<1>\"}"], &[1])]);
    let document = Document::parse(&svg).expect("it is XML");
    let texts = texts(&document);
    assert!(texts.iter().any(|text| text == "<a> & \"b\"\u{fffd}"), "{texts:?}");
    assert!(texts.iter().any(|text| text == "s3-fifo{a=\"<1>\"}"), "{texts:?}");
}

#[test]
fn sizes_are_short_where_that_is_exact() {
    let written = [7, 999, 1000, 1500, 1550, 41_290, 50_000, 2_500_000].map(short);
    assert_eq!(written, ["7", "999", "1k", "1.5k", "1,550", "41,290", "50k", "2.5m"]);
}
