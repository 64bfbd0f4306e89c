//! On whose platform a function runs: who puts packages beside its own.

/// A platform for functions, as far as it matters for what a function finds there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Provider {
    /// Not known, or one that provides nothing that is known of; container images bring everything themselves.
    #[default]
    Unknown,
    /// AWS Lambda's managed runtimes. For plain folders only where the handler has Lambda's own shape
    /// (`lambda_handler`, `lambda_function.py`, a handler that takes `event, context`).
    AwsLambda,
    /// Azure Functions.
    Azure,
    /// Cloud Run functions (Google Cloud Functions), and Firebase, which deploys to them.
    Google,
    /// Apache OpenWhisk, and DigitalOcean Functions, which is built on it.
    OpenWhisk,
    /// The Fn project's function development kits.
    Fn,
    /// OpenFaaS templates.
    OpenFaas,
    /// Fission environments.
    Fission,
    /// Nuclio runtimes.
    Nuclio,
    /// Knative functions, built by `func`.
    Knative,
    /// Vercel.
    Vercel,
    /// Netlify.
    Netlify,
}

impl Provider {
    /// The provider that the Serverless Framework and people call so.
    pub fn named(name: &str) -> Provider {
        match name.trim().to_ascii_lowercase().as_str() {
            "aws" | "aws-lambda" | "lambda" => Provider::AwsLambda,
            "azure" => Provider::Azure,
            "google" | "gcp" | "firebase" => Provider::Google,
            "openwhisk" | "digitalocean" => Provider::OpenWhisk,
            "fn" => Provider::Fn,
            "openfaas" => Provider::OpenFaas,
            "fission" => Provider::Fission,
            "nuclio" => Provider::Nuclio,
            "knative" => Provider::Knative,
            "vercel" => Provider::Vercel,
            "netlify" => Provider::Netlify,
            _ => Provider::Unknown,
        }
    }
}
