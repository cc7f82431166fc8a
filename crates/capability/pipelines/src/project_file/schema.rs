//! The JSON Schema of the project file, so that editors complete and check it. Written out, not derived:
//! a duration is a text with a pattern, which no Rust type of ours tells. A test holds its keys against
//! those that reading accepts.

use serde_json::{Value, json};

use super::read::{MAX_PRIORITY, MAX_REPLICAS, MAX_RETRIES, MAX_WORKERS};

const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$";
const DURATION: &str = "^[0-9]+ ?(ms|s|m|h|d)$";
const MEMORY: &str = r"^[0-9]+(\.[0-9]{1,3})? ?([KMGT]iB|kB|MB|GB|TB)$";

/// The schema, as JSON Schema 2020-12.
#[must_use]
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Corliss project file",
        "description": "A workload end to end: data, steps, models and endpoints.",
        "type": "object",
        "additionalProperties": false,
        "required": ["project", "steps"],
        "properties": {
            "project": named("Name of the project; also of its experiment in tracking.", "digits"),
            "queue": named("The queue that the steps wait in, where they do not name another.", "research"),
            "data": {
                "description": "Folders, relative to this file, that become immutable dataset versions.",
                "type": "object",
                "propertyNames": {"pattern": NAME},
                "additionalProperties": {"type": "string", "minLength": 1, "examples": ["./data"]},
                "examples": [{"digits": "./data"}],
            },
            "steps": section("What is to run, by name. Steps run in parallel where the graph allows.", NAME, step(), 1),
            "models": section(
                "Models to register when the steps have succeeded, by name.",
                "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", model(), 0,
            ),
            "endpoints": section("Endpoints to deploy then, by name.", NAME, endpoint(), 0),
        },
    })
}

fn section(description: &str, names: &str, item: Value, at_least: u32) -> Value {
    json!({
        "description": description,
        "type": "object",
        "minProperties": at_least,
        "propertyNames": {"pattern": names},
        "additionalProperties": item,
    })
}

fn named(description: &str, example: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": NAME, "examples": [example]})
}

fn names(description: &str, example: &str) -> Value {
    json!({
        "description": description,
        "type": "array",
        "uniqueItems": true,
        "items": {"type": "string", "pattern": NAME},
        "examples": [[example]],
    })
}

fn duration(description: &str, example: &str) -> Value {
    json!({"description": description, "type": "string", "pattern": DURATION, "examples": [example]})
}

fn count(description: &str, least: u32, most: u32, default: u32) -> Value {
    json!({
        "description": description, "type": "integer", "minimum": least, "maximum": most, "default": default,
    })
}

fn step() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["run"],
        "properties": {
            "run": {
                "description": "A shell command; with launcher torchrun a Python script and its arguments.",
                "type": "string", "minLength": 1,
                "examples": ["python split.py", "train.py --epochs 3"],
            },
            "launcher": {
                "description": "What starts the workers. torchrun: an unmodified torchrun script; ranks, \
                                rendezvous and restart are set up by Corliss.",
                "enum": ["torchrun"],
            },
            "workers": count("Processes of the gang; all start or none.", 1, MAX_WORKERS, 1),
            "resources": resources("What each worker asks for.", 1),
            "inputs": names(
                "Data sources and outputs of other steps; each is a read-only folder at $CORLISS_INPUT_<NAME>.",
                "digits",
            ),
            "outputs": names(
                "Folders the step fills at $CORLISS_OUTPUT_<NAME>; each becomes an immutable version.",
                "splits",
            ),
            "checkpoint": checkpoint(),
            "retries": retries(),
            "timeout": duration("Longest time one attempt may run.", "30m"),
            "env": {
                "description": "Environment variables of the step.",
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                "additionalProperties": {"type": ["string", "number", "boolean"]},
                "examples": [{"EPOCHS": 3}],
            },
            "needs": names("Steps that must succeed first though nothing is read from them.", "prepare"),
            "cache": {
                "description": "Whether an earlier result of the same command, code, inputs and environment \
                                may stand in for running the step.",
                "type": "boolean", "default": true,
            },
            "queue": named("The queue that it waits in.", "research"),
            "priority": {
                "description": "Higher goes first, within the queue.",
                "type": "integer", "minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY, "default": 0,
            },
            "preemptible": {
                "description": "Whether it may be stopped for another and be started again later; without it, as its \
                                queue says.",
                "type": "boolean",
            },
            "expected": duration(
                "How long it will run, for estimates and for going first where that makes nobody wait longer; without \
                 it, the timeout.",
                "20m",
            ),
            "deadline": duration("How long after the run's submission it has to be done, for queues that go by it.", "6h"),
            "topology": {
                "description": "Where its workers are to each other: within one domain of a level or not at all, near \
                                each other if that can be, or spread over as many nodes as can be.",
                "oneOf": [
                    {"const": "spread"},
                    {"type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
                     "properties": {"within": {"type": "string"}, "near": {"type": "string"}}},
                ],
                "examples": [{"within": "rack"}, {"near": "rack"}, "spread"],
            },
        },
    })
}

fn resources(description: &str, cpus: u32) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "cpus": {
                "description": "CPUs, in thousandths at the finest.",
                "type": "number", "exclusiveMinimum": 0, "default": cpus, "examples": [1, 0.5],
            },
            "memory": {
                "description": "Memory that is reserved and enforced; without it neither.",
                "type": "string", "pattern": MEMORY, "examples": ["2GiB"],
            },
            "accelerators": {
                "description": "Whole accelerators; or a part of one, whose memory it shares with others.",
                "oneOf": [
                    {"type": "integer", "minimum": 0, "maximum": 1024},
                    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                ],
                "default": 0, "examples": [1, 0.5],
            },
            "accelerator_model": {
                "description": "Models that will do, by whole words of their names.",
                "oneOf": [
                    {"type": "string", "minLength": 1},
                    {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 32},
                ],
                "examples": ["H100", ["A100", "H100"]],
            },
            "accelerator_memory": {
                "description": "The least memory of each accelerator.",
                "type": "string", "pattern": MEMORY, "examples": ["40GiB"],
            },
        },
    })
}

fn checkpoint() -> Value {
    json!({
        "description": "Checkpoints: the step publishes into $CORLISS_CHECKPOINT_DIR by renaming NAME.tmp to \
                        NAME, and a new attempt finds the last complete one at $CORLISS_RESUME_FROM.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "every": duration("How often the script is asked to write one.", "20s"),
            "keep": count("How many complete ones are kept.", 1, 100, 3),
        },
        "examples": [{"every": "20s", "keep": 3}],
    })
}

fn retries() -> Value {
    json!({
        "description": "How many times a failed attempt is tried again, by class of failure.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "infrastructure": count("After a lost process or a signal from outside.", 0, MAX_RETRIES, 5),
            "user": count("After an exit code, a time-out or too little memory.", 0, MAX_RETRIES, 0),
        },
        "examples": [{"infrastructure": 5, "user": 0}],
    })
}

fn model() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["from"],
        "properties": {
            "from": {
                "description": "The step and its output that hold the model.",
                "type": "string",
                "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\.[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
                "examples": ["train.model"],
            },
            "when": {
                "description": "The gate: comparisons of logged metrics with numbers, joined by 'and'. \
                                Without it every version is registered.",
                "type": "string",
                "examples": ["metrics.accuracy >= 0.95", "metrics.accuracy >= 0.95 and metrics.loss < 0.3"],
            },
            "alias": named("The alias that moves to the new version.", "champion"),
        },
    })
}

fn endpoint() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["model"],
        "properties": {
            "model": {
                "description": "A model of this file and the alias it gets; the endpoint follows the alias.",
                "type": "string", "pattern": "^[^@]+@[^@]+$", "examples": ["digits@champion"],
            },
            "replicas": count("Engine processes behind the endpoint.", 1, MAX_REPLICAS, 1),
            "resources": resources("What each engine process holds; without it nothing.", 0),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn keys<'a>(schema: &'a Value, path: &[&str]) -> Vec<&'a str> {
        let node = path.iter().fold(schema, |node, part| &node[*part]);
        let mut keys: Vec<&str> = node["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        keys
    }

    fn sorted<'a>(keys: &[&'a str]) -> Vec<&'a str> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_schema_has_exactly_the_keys_that_reading_accepts() {
        let schema = json_schema();
        let step = ["properties", "steps", "additionalProperties"];
        let within = |key| [step.as_slice(), &["properties", key]].concat();
        assert_eq!(keys(&schema, &[]), sorted(read::TOP_KEYS));
        assert_eq!(keys(&schema, &step), sorted(read::STEP_KEYS));
        assert_eq!(keys(&schema, &within("resources")), sorted(read::RESOURCE_KEYS));
        assert_eq!(
            keys(&schema, &within("checkpoint")),
            sorted(read::CHECKPOINT_KEYS)
        );
        assert_eq!(keys(&schema, &within("retries")), sorted(read::RETRY_KEYS));
        assert_eq!(
            keys(&schema, &["properties", "models", "additionalProperties"]),
            sorted(read::MODEL_KEYS)
        );
        assert_eq!(
            keys(&schema, &["properties", "endpoints", "additionalProperties"]),
            sorted(read::ENDPOINT_KEYS)
        );
    }
}
