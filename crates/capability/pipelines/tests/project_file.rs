//! The project file from outside: good files read as meant, bad ones tell everything at once, the JSON
//! Schema agrees with the reader, and no text makes it panic.
#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::path::Path;

use corliss_pipelines::project_file::{self, Launcher, Problem, Site};
use corliss_types::{Accelerator, Nearness, Resources};
use proptest::prelude::*;

fn site() -> Site {
    Site {
        total: MACHINE,
        accelerators: vec![Accelerator {
            index: 0,
            uuid: "T-0".to_owned(),
            model: "Test A100 80GB".to_owned(),
            memory_bytes: 80 << 30,
        }],
        levels: vec!["row".to_owned(), "rack".to_owned()],
        queues: vec!["default".to_owned(), "research".to_owned()],
    }
}

const MACHINE: Resources = Resources {
    cpu_milli: 2_000,
    memory_bytes: 4 << 30,
    accelerators: 0,
};

fn files(prefix: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/project_files");
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix))
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

/// As a terminal would show them.
fn listing(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&format!(
            "{}:{}: {}: {}\n",
            problem.line, problem.column, problem.field, problem.message
        ));
        if let Some(hint) = &problem.hint {
            text.push_str(&format!("    {hint}\n"));
        }
    }
    text
}

#[test]
fn every_problem_of_a_bad_file_is_told_at_once() {
    let bad = files("bad_");
    assert!(bad.len() >= 8);
    for (name, text) in bad {
        let problems = project_file::parse(&text, Some(&site())).unwrap_err();
        insta::assert_snapshot!(name, listing(&problems));
    }
}

#[test]
fn the_digits_file_reads_as_meant() {
    let (_, text) = files("digits").pop().unwrap();
    let file = project_file::parse(&text, Some(&site())).unwrap();
    assert_eq!(file.order, [0, 1, 2]);
    let train = &file.steps[1];
    assert_eq!(train.launcher, Some(Launcher::Torchrun));
    assert_eq!((train.workers, train.timeout_ms), (2, Some(1_800_000)));
    assert_eq!(
        train.resources,
        Resources {
            cpu_milli: 500,
            memory_bytes: 2 << 30,
            accelerators: 0
        }
    );
    assert_eq!(train.env["SEED"], "7");
    assert_eq!(train.env["AMP"], "false");
    assert_eq!(train.upstream, [0]);
    assert_eq!(file.steps[2].upstream, [0, 1]);
    assert!(!file.steps[2].cache && train.cache);
    assert_eq!(file.models[0].step, 1);
    assert_eq!(
        file.models[0].when.as_ref().unwrap().to_string(),
        "metrics.accuracy >= 0.95"
    );
    assert_eq!(
        (file.endpoints[0].alias.as_str(), file.endpoints[0].replicas),
        ("champion", 2)
    );
}

#[test]
fn a_file_of_ten_thousand_steps_is_read_and_one_more_is_refused() {
    let text = |count: usize| {
        let steps: String = (0..count)
            .map(|index| format!("  s{index}: {{run: echo, needs: [s0]}}\n"))
            .collect();
        format!(
            "project: wide\nsteps:\n{}",
            steps.replacen(", needs: [s0]", "", 1)
        )
    };
    let file = project_file::parse(&text(10_000), None).unwrap();
    assert_eq!(file.steps.len(), 10_000);
    let problems = project_file::parse(&text(10_001), None).unwrap_err();
    assert!(
        listing(&problems).contains("more than 10000 items"),
        "{}",
        listing(&problems)
    );
}

#[test]
fn a_flood_of_problems_is_cut_and_counted() {
    let steps: String = (0..500)
        .map(|index| format!("  s{index}: {{rn: echo}}\n"))
        .collect();
    let problems = project_file::parse(&format!("project: p\nsteps:\n{steps}"), None).unwrap_err();
    assert_eq!(problems.len(), project_file::MAX_PROBLEMS + 1);
    assert_eq!(
        problems.last().unwrap().message,
        "900 more problems are not listed"
    );
}

/// The YAML as the JSON that an editor's validator sees.
fn as_json(text: &str) -> serde_json::Value {
    use saphyr_parser::{Event, Parser, ScalarStyle};
    use serde_json::{Map, Value, json};
    enum Open {
        List(Vec<Value>),
        Map(Map<String, Value>, Option<String>),
    }
    fn scalar(text: &str, plain: bool) -> Value {
        match (plain, serde_json::from_str::<Value>(text)) {
            (true, Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::Null))) => value,
            (true, _) if text.is_empty() || text == "~" => Value::Null,
            _ => json!(text),
        }
    }
    fn place(open: &mut [Open], root: &mut Value, value: Value) {
        match open.last_mut() {
            None => *root = value,
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map(map, key)) => match key.take() {
                Some(name) => drop(map.insert(name, value)),
                None => *key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            },
        }
    }
    let (mut open, mut root) = (Vec::new(), Value::Null);
    for event in std::iter::from_fn({
        let mut parser = Parser::new_from_str(text);
        move || parser.next_event()
    }) {
        match event.unwrap().0 {
            Event::Scalar(text, style, ..) => {
                place(&mut open, &mut root, scalar(&text, style == ScalarStyle::Plain));
            }
            Event::SequenceStart(..) => open.push(Open::List(Vec::new())),
            Event::MappingStart(..) => open.push(Open::Map(Map::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let value = match open.pop().unwrap() {
                    Open::List(items) => Value::Array(items),
                    Open::Map(map, _) => Value::Object(map),
                };
                place(&mut open, &mut root, value);
            }
            _ => {}
        }
    }
    root
}

#[test]
fn the_schema_is_valid_and_accepts_every_good_file() {
    let schema = project_file::json_schema();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, text) in files("digits").into_iter().chain(files("minimal")) {
        project_file::parse(&text, None).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&as_json(&text))
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

/// Every runnable example and every fenced project file of the documentation.
#[test]
fn the_schema_and_the_reader_accept_every_example_of_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let validator = jsonschema::validator_for(&project_file::json_schema()).unwrap();
    let mut folders = vec![root.join("docs"), root.join("examples"), root.join("README.md")];
    let mut seen = Vec::new();
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let text = match path.extension().and_then(|extension| extension.to_str()) {
            Some("md" | "yaml" | "yml") => std::fs::read_to_string(&path).unwrap_or_default(),
            _ => continue,
        };
        let parts: Vec<&str> = match path.extension().unwrap().to_str() {
            Some("md") => text
                .split("```yaml\n")
                .skip(1)
                .filter_map(|part| part.split("```").next())
                .collect(),
            _ => vec![&text],
        };
        for part in parts
            .into_iter()
            .filter(|part| part.lines().any(|line| line.starts_with("project:")))
        {
            if let Err(problems) = project_file::parse(part, None) {
                panic!("{}:\n{}", path.display(), listing(&problems));
            }
            let errors: Vec<String> = validator
                .iter_errors(&as_json(part))
                .map(|error| error.to_string())
                .collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
            seen.push(path.clone());
        }
    }
    println!("{} project files", seen.len());
}

#[test]
fn what_the_schema_refuses_the_reader_refuses_too() {
    let validator = jsonschema::validator_for(&project_file::json_schema()).unwrap();
    let cases = [
        "steps: {a: {run: x}}",
        "project: p\nsteps: {}",
        "project: p\nsteps: {a: {run: x, wrkers: 1}}",
        "project: p\nsteps: {a: {run: x, workers: 0}}",
        "project: p\nsteps: {a: {run: x, workers: \"2\"}}",
        "project: p\nsteps: {a: {run: x, timeout: 20}}",
        "project: p\nsteps: {a: {run: x, resources: {memory: 2G}}}",
        "project: p\nsteps: {a: {run: x, resources: {cpus: 0}}}",
        "project: p\nsteps: {a: {run: x, inputs: b}}",
        "project: p\nsteps: {a: {run: true}}",
        "project: p\nsteps: {a.b: {run: x}}",
        "project: p\nsteps: {a: {run: x}}\nmodels: {m: {from: a}}",
        "project: p\nsteps: {a: {run: x}}\nendpoints: {m: {model: m}}",
    ];
    for case in cases {
        assert!(
            project_file::parse(case, None).is_err(),
            "the reader accepts {case}"
        );
        assert!(!validator.is_valid(&as_json(case)), "the schema accepts {case}");
    }
}

/// Pieces of project files in random order reach further into the reader than random characters do.
fn near_yaml() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "project: p\n",
        "steps:\n",
        "  a:\n",
        "    run: echo\n",
        "    inputs: [",
        "x, ",
        "]\n",
        "    workers: ",
        "2\n",
        "models:\n",
        "  m: {from: a.b}\n",
        "- ",
        "? ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "!!str ",
        "|\n",
        ">\n",
        "\"",
        "'",
        "#",
        "\t",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "<<: ",
        "é",
        "\u{feff}",
        "\0",
        "\r\n",
        "  ",
        "~",
        "    when: metrics.a >= ",
        "1e999",
        "-",
        "99999999999999999999",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = project_file::parse(&text, Some(&site()));
    }

    #[test]
    fn nothing_like_yaml_makes_it_panic(text in near_yaml()) {
        if let Err(problems) = project_file::parse(&text, Some(&site())) {
            prop_assert!(!problems.is_empty());
            let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap();
            for problem in problems {
                prop_assert!(problem.line >= 1 && problem.line <= lines + 1 && problem.column >= 1);
                prop_assert!(!problem.message.is_empty());
            }
        }
    }

    #[test]
    fn a_graph_is_ordered_or_its_cycle_is_real(edges in prop::collection::vec((0_usize..8, 0_usize..8), 0..16)) {
        let steps: String = (0..8)
            .map(|step| {
                let needs: std::collections::BTreeSet<String> =
                    edges.iter().filter(|(to, _)| *to == step).map(|(_, from)| format!("s{from}")).collect();
                let needs: Vec<String> = needs.into_iter().collect();
                format!("  s{step}: {{run: echo, needs: [{}]}}\n", needs.join(", "))
            })
            .collect();
        let needs = |step: usize, need: usize| edges.contains(&(step, need));
        match project_file::parse(&format!("project: p\nsteps:\n{steps}"), None) {
            Ok(file) => {
                for (position, step) in file.order.iter().enumerate() {
                    prop_assert!(file.order[position..].iter().all(|later| !needs(*step, *later)));
                }
            }
            Err(problems) => {
                for Problem { message: text, .. } in &problems {
                if let Some((_, cycle)) = text.split_once("cycle: ") {
                    let cycle: Vec<usize> = cycle.split(" -> ").map(|name| name[1..].parse().unwrap()).collect();
                    prop_assert!(cycle.windows(2).all(|pair| needs(pair[1], pair[0])), "{}", text);
                    prop_assert_eq!(cycle.first(), cycle.last());
                } else {
                    prop_assert!(text.ends_with("needs itself"), "{}", text);
                }
                }
            }
        }
    }
}

#[test]
fn what_of_nodes_will_do_is_read_and_held_to_what_there_is() {
    let text = "project: p\nsteps:\n  a: {run: x, resources: {accelerators: 0.5, accelerator_model: a100, \
                accelerator_memory: 40GiB}, topology: spread, deadline: 6h}\n  b: {run: y, resources: {accelerators: \
                1, accelerator_model: [A100, A100 80GB]}, topology: {within: rack}}\n  c: {run: z, topology: {near: row}}\n";
    let mut with_cards = site();
    with_cards.total.accelerators = 1;
    let file = project_file::parse(text, Some(&with_cards)).unwrap();
    let placing: Vec<_> = file.steps.iter().map(|step| &step.queueing.placing).collect();
    assert_eq!(
        (placing[0].accelerator_share, file.steps[0].resources.accelerators),
        (Some(500), 0)
    );
    assert_eq!(placing[0].accelerator_memory_bytes, Some(40 << 30));
    assert_eq!(file.steps[0].queueing.deadline_ms, Some(6 * 3_600_000));
    assert_eq!(placing[1].accelerator_models, ["A100", "A100 80GB"]);
    let near: Vec<_> = placing.iter().map(|placing| placing.near.clone()).collect();
    let level = |name: &str| name.to_owned();
    assert_eq!(
        near,
        [
            Some(Nearness::Spread),
            Some(Nearness::Within(level("rack"))),
            Some(Nearness::Near(level("row")))
        ]
    );
    let wrong = "project: p\nsteps:\n  a: {run: x, resources: {accelerators: 1.5}}\n  b: {run: x, resources: \
                 {accelerators: -1, accelerator_model: A10}}\n  c: {run: x, resources: {accelerator_memory: 90GiB}, \
                 topology: {within: rak}}\n  d: {run: x, topology: {within: rack, near: row}}\n  e: {run: x, topology: \
                 near}\nendpoints:\n  f: {model: m@champion, resources: {accelerators: 0.5, accelerator_model: A100}}\n";
    let problems = project_file::parse(wrong, Some(&site())).unwrap_err();
    let told: Vec<String> = problems
        .iter()
        .map(|one| {
            format!(
                "{}: {} {}",
                one.field,
                one.message,
                one.hint.as_deref().unwrap_or("")
            )
        })
        .collect();
    let expected = [
        "steps.a.resources.accelerators: ask for whole accelerators",
        "steps.b.resources.accelerators: '-1' is not a number of accelerators",
        "steps.b.resources.accelerator_model: the machine has no accelerator 'A10' there is: Test A100 80GB",
        "steps.c.resources.accelerator_memory: the largest accelerator of the machine has 80 GiB",
        "steps.c.topology.within: nodes stand in no rak did you mean 'rack'?",
        "steps.d.topology: say either within or near",
        "steps.e.topology: 'near' is no topology",
        "endpoints.f.resources.accelerators: an engine takes whole accelerators",
        "endpoints.f.resources.accelerator_model: unknown key",
    ];
    for says in expected {
        assert!(told.iter().any(|one| one.starts_with(says)), "{says}\n{told:#?}");
    }
}

#[test]
fn how_a_step_queues_is_read_and_held_to_the_queues_there_are() {
    let text = "project: p\nqueue: research\nsteps:\n  a: {run: x}\n  b: {run: y, queue: default, priority: -5, \
                preemptible: true, expected: 20m}\n";
    let file = project_file::parse(text, Some(&site())).unwrap();
    assert_eq!(file.steps[0].queueing.queue.as_deref(), Some("research"));
    assert_eq!(
        (
            file.steps[0].queueing.priority,
            file.steps[0].queueing.preemptible
        ),
        (0, None)
    );
    let told = &file.steps[1].queueing;
    assert_eq!(
        (
            told.queue.as_deref(),
            told.priority,
            told.preemptible,
            told.expected_ms
        ),
        (Some("default"), -5, Some(true), Some(1_200_000))
    );
    let wrong =
        "project: p\nqueue: reserch\nsteps:\n  a: {run: x, queue: nowhere, priority: 2000, expected: soon}\n";
    let problems = project_file::parse(wrong, Some(&site())).unwrap_err();
    let told: Vec<(&str, &str)> = problems
        .iter()
        .map(|one| (one.field.as_str(), one.message.as_str()))
        .collect();
    assert_eq!(told[0], ("queue", "there is no queue 'reserch'"));
    assert!(
        problems[0].hint.as_deref().unwrap().contains("'research'"),
        "{problems:?}"
    );
    assert!(
        told.contains(&("steps.a.queue", "there is no queue 'nowhere'")),
        "{told:?}"
    );
    assert!(
        told.contains(&(
            "steps.a.priority",
            "2000 is not a whole number from -1000 to 1000"
        )),
        "{told:?}"
    );
    assert!(told.iter().any(|one| one.0 == "steps.a.expected"), "{told:?}");
}
