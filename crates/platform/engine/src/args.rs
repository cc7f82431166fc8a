//! How an engine process is started: its arguments, parsed and written in one place.

use std::path::PathBuf;

use corliss_types::Flavor;

/// Arguments of the hidden `corliss engine` command.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct EngineArgs {
    /// Kind of engine: onnx, gguf or pyfunc.
    #[arg(long, value_parser = flavor)]
    pub kind: Flavor,
    /// Folder that holds the model.
    #[arg(long)]
    pub model: PathBuf,
    /// Where to listen: `unix:PATH`. The socket is made with mode 0600.
    #[arg(long, value_parser = parse_listen)]
    pub listen: PathBuf,
    /// Name that answers carry, usually the endpoint's.
    #[arg(long, default_value = "model")]
    pub name: String,
    /// Model version that answers carry.
    #[arg(long, default_value = "1")]
    pub version: String,
    /// Threads to compute with; 0 is one per available CPU.
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// The most requests that wait for a place before new ones are refused.
    #[arg(long, default_value_t = 256)]
    pub max_waiting: usize,
    /// The most tokens of requests that wait, prompts and answers together; 0 is eight times what the KV caches
    /// hold (gguf).
    #[arg(long, default_value_t = 0)]
    pub max_waiting_tokens: u64,
    /// The most rows of one batch; 0 is what fits the kind of model (onnx, pyfunc).
    #[arg(long, default_value_t = 0)]
    pub max_batch: usize,
    /// How long the first request of a batch waits for others, in microseconds (onnx, pyfunc).
    #[arg(long, default_value_t = 2_000)]
    pub batch_delay_us: u64,
    /// Rows at which a batch is closed without waiting for more (onnx, pyfunc).
    #[arg(long, value_delimiter = ',')]
    pub prefer_batch: Vec<usize>,
    /// Copies of the model that compute at the same time; 0 is one per thread (onnx), or one (pyfunc).
    #[arg(long, default_value_t = 0)]
    pub instances: usize,
    /// The Python that runs the model, as it is; none: one with an environment made for the model (pyfunc).
    #[arg(long)]
    pub python: Option<PathBuf>,
    /// Folder in which environments are made and kept (pyfunc).
    #[arg(long)]
    pub environments: Option<PathBuf>,
    /// The library of ONNX Runtime that runs the model; none: it runs in this binary (onnx).
    #[arg(long)]
    pub onnx_runtime: Option<PathBuf>,
    /// Load the model even if that runs code of whoever made it (pyfunc).
    #[arg(long)]
    pub allow_code: bool,
    /// The most sequences decoded in one batch; 0 is 32, or 8 of a model whose KV cells are large (gguf).
    #[arg(long, default_value_t = 0)]
    pub max_sequences: u32,
    /// The most tokens of one request's prompt and answer together; 0 is the model's own (gguf).
    #[arg(long, default_value_t = 0)]
    pub context_tokens: u32,
    /// Tokens that the KV caches hold; 0 is the context, and 512 for each of many sequences or 1024 for each of few beside it (gguf).
    #[arg(long, default_value_t = 0)]
    pub kv_tokens: u32,
    /// How long requests in flight may take to finish after SIGTERM, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    pub grace_ms: u64,
}

fn parse_listen(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("unix:") {
        Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
        _ => Err("expected unix: and an absolute path".to_owned()),
    }
}

fn flavor(name: &str) -> Result<Flavor, String> {
    Flavor::from_name(name).ok_or_else(|| "it is onnx, gguf, pyfunc or other".to_owned())
}

impl EngineArgs {
    /// Arguments with every default, for this model and socket.
    #[must_use]
    pub fn new(kind: Flavor, model: impl Into<PathBuf>, listen: impl Into<PathBuf>) -> Self {
        Self {
            kind,
            model: model.into(),
            listen: listen.into(),
            name: "model".to_owned(),
            version: "1".to_owned(),
            threads: 0,
            max_waiting: 256,
            max_waiting_tokens: 0,
            max_batch: 0,
            batch_delay_us: 2_000,
            prefer_batch: Vec::new(),
            instances: 0,
            python: None,
            environments: None,
            onnx_runtime: None,
            allow_code: false,
            max_sequences: 0,
            context_tokens: 0,
            kv_tokens: 0,
            grace_ms: 10_000,
        }
    }

    /// The command line that parses to this, without the program: `engine --kind …`.
    #[must_use]
    pub fn to_command(&self) -> Vec<String> {
        let pairs = [
            ("--kind", self.kind.as_str().to_owned()),
            ("--model", self.model.display().to_string()),
            ("--listen", format!("unix:{}", self.listen.display())),
            ("--name", self.name.clone()),
            ("--version", self.version.clone()),
            ("--threads", self.threads.to_string()),
            ("--max-waiting", self.max_waiting.to_string()),
            ("--max-waiting-tokens", self.max_waiting_tokens.to_string()),
            ("--max-batch", self.max_batch.to_string()),
            ("--batch-delay-us", self.batch_delay_us.to_string()),
            ("--instances", self.instances.to_string()),
            ("--max-sequences", self.max_sequences.to_string()),
            ("--context-tokens", self.context_tokens.to_string()),
            ("--kv-tokens", self.kv_tokens.to_string()),
            ("--grace-ms", self.grace_ms.to_string()),
        ];
        let mut command = vec!["engine".to_owned()];
        for (flag, value) in pairs {
            command.push(flag.to_owned());
            command.push(value);
        }
        if !self.prefer_batch.is_empty() {
            let sizes: Vec<String> = self.prefer_batch.iter().map(ToString::to_string).collect();
            command.extend(["--prefer-batch".to_owned(), sizes.join(",")]);
        }
        for (flag, path) in [
            ("--python", &self.python),
            ("--environments", &self.environments),
            ("--onnx-runtime", &self.onnx_runtime),
        ] {
            if let Some(path) = path {
                command.extend([flag.to_owned(), path.display().to_string()]);
            }
        }
        if self.allow_code {
            command.push("--allow-code".to_owned());
        }
        command
    }

    /// Rows at which a batch is closed at once, of those that a batch may have.
    pub(crate) fn preferred_rows(&self, max_rows: usize) -> Vec<usize> {
        let mut rows: Vec<usize> = self.prefer_batch.clone();
        rows.retain(|rows| (1..=max_rows).contains(rows));
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Threads to compute with.
    pub(crate) fn compute_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            given => given,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: EngineArgs,
    }

    #[test]
    fn the_written_command_parses_back() {
        let mut args = EngineArgs::new(Flavor::Gguf, "/models/a b", "/run/x.sock");
        args.threads = 3;
        args.max_sequences = 5;
        args.grace_ms = 17;
        args.name = "chat".to_owned();
        args.prefer_batch = vec![8, 16];
        args.python = Some("/usr/bin/python 3".into());
        args.onnx_runtime = Some("/opt/libonnxruntime.so".into());
        args.allow_code = true;
        assert_eq!(Program::try_parse_from(args.to_command()).unwrap().args, args);
        let new = EngineArgs::new(Flavor::Onnx, "/m", "/s");
        let bare = ["engine", "--kind", "onnx", "--model", "/m", "--listen", "unix:/s"];
        assert_eq!(
            Program::try_parse_from(bare).unwrap().args,
            new,
            "defaults are written twice and must agree"
        );
    }

    #[test]
    fn only_absolute_unix_sockets_are_taken() {
        for bad in ["tcp:127.0.0.1:1", "unix:relative", "/path"] {
            assert!(parse_listen(bad).is_err(), "{bad}");
        }
    }
}
