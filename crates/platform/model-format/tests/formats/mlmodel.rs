//! What `MLmodel` declares, as `mlflow` writes it.

use corliss_model_format::declared;

const SKLEARN: &str = r#"artifact_path: mlflow-artifacts:/0/models/m-1/artifacts
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
mlflow_version: 3.17.2
saved_input_example_info:
  artifact_path: input_example.json
  type: dataframe
signature:
  inputs: '[{"type": "double", "name": "sepal length (cm)", "required": true}, {"type":
    "double", "name": "petal"}]'
  outputs: '[{"type": "tensor"}]'
  params: null
"#;

#[test]
fn a_flavour_names_its_pickle_and_the_signature_is_whole() {
    let found = declared(SKLEARN.as_bytes());
    assert_eq!(found.pickles, ["model.pkl".to_owned()].into());
    assert_eq!(
        found.flavors,
        ["python_function".to_owned(), "sklearn".to_owned()].into()
    );
    let inputs = found.inputs.unwrap();
    assert!(
        inputs.ends_with(r#"{"type": "double", "name": "petal"}]"#),
        "{inputs}"
    );
    assert_eq!(
        (found.outputs.as_deref(), found.params),
        (Some(r#"[{"type": "tensor"}]"#), None)
    );
    assert_eq!(found.input_example.as_deref(), Some("input_example.json"));
}

#[test]
fn scripts_and_skops_are_no_pickles() {
    let text = "flavors:\n  python_function:\n    python_model: model.py\n  sklearn:\n    pickled_model: model.skops\n    serialization_format: skops\n";
    assert!(declared(text.as_bytes()).pickles.is_empty());
    let text = "flavors:\n  python_function:\n    python_model: python_model.pkl\n    list: [a, {b: c}]\n";
    assert_eq!(
        declared(text.as_bytes()).pickles,
        ["python_model.pkl".to_owned()].into()
    );
}

#[test]
fn what_cannot_be_read_declares_nothing() {
    for text in [
        "",
        "a: [",
        "- a\n- b\n",
        "a: &x 1\nb: *x\n",
        "\u{1}",
        &"a:\n ".repeat(30),
        &"[".repeat(100_000),
    ] {
        assert_eq!(declared(text.as_bytes()), Default::default(), "{text:.20}");
    }
    assert_eq!(declared(&[0xff, 0xfe]), Default::default());
    for length in 0..SKLEARN.len() {
        let _ = declared(&SKLEARN.as_bytes()[..length]);
    }
}
