//! What a platform puts beside a function's own packages.
//!
//! Only what a platform documents, or what the recipe of its published runtime installs, is listed: top-level modules
//! with their distributions. What a container image or a template brings is not known.

use crate::discover::Provider;
use crate::model::{Language, Platform};

/// Source: AWS Lambda Developer Guide, "Working with .zip file archives for Python Lambda functions" (runtimes include
/// boto3, with what it depends on) and the runtime interface client's own package.
const LAMBDA_PYTHON: &[(&str, &str)] = &[
    ("awslambdaric", "awslambdaric"),
    ("boto3", "boto3"),
    ("botocore", "botocore"),
    ("dateutil", "python-dateutil"),
    ("jmespath", "jmespath"),
    ("pip", "pip"),
    ("s3transfer", "s3transfer"),
    ("six", "six"),
    ("urllib3", "urllib3"),
];

/// The first Node version whose Lambda runtime has version 3 of the AWS SDK in place of version 2.
///
/// Source: AWS Lambda Developer Guide, "Building Lambda functions with Node.js", runtime-included SDK versions.
const LAMBDA_NODE_SDK_3: u32 = 18;

/// The worker brings its own copy of the library that functions are written against.
///
/// Source: Azure Functions Python developer guide, "Azure Functions Python library"; the worker's own requirements.
const AZURE_PYTHON: &[(&str, &str)] =
    &[("azure.functions", "azure-functions"), ("azure_functions_worker", "azure-functions-worker")];

/// A module that exists inside the worker only; `@azure/functions` is the function's own dependency and loads it.
///
/// Source: Azure/azure-functions-nodejs-worker, `registerCoreModule`.
const AZURE_NODE: &[(&str, &str)] = &[("@azure/functions-core", "@azure/functions-core")];

/// The framework is installed where a function does not ask for it, with what it requires.
///
/// Source: Cloud Run functions documentation, "Specify dependencies in Python"; `install_requires` of
/// functions-framework 3 and of Flask 2 and 3.
const GOOGLE_PYTHON: &[(&str, &str)] = &[
    ("click", "click"),
    ("cloudevents", "cloudevents"),
    ("flask", "flask"),
    ("functions_framework", "functions-framework"),
    ("gunicorn", "gunicorn"),
    ("itsdangerous", "itsdangerous"),
    ("jinja2", "jinja2"),
    ("markupsafe", "markupsafe"),
    ("watchdog", "watchdog"),
    ("werkzeug", "werkzeug"),
];

/// Source: Cloud Run functions documentation, "Specify dependencies in Node.js" (Functions Framework).
const GOOGLE_NODE: &[(&str, &str)] = &[("@google-cloud/functions-framework", "@google-cloud/functions-framework")];

/// What every Python runtime from 3.9 on installs.
///
/// Source: apache/openwhisk-runtime-python, `core/requirements_common.txt`.
const OPENWHISK_PYTHON: &[(&str, &str)] = &[
    ("bs4", "beautifulsoup4"),
    ("dateutil", "python-dateutil"),
    ("httplib2", "httplib2"),
    ("kafka", "kafka-python"),
    ("lxml", "lxml"),
    ("requests", "requests"),
    ("scrapy", "scrapy"),
    ("simplejson", "simplejson"),
    ("twisted", "twisted"),
    ("virtualenv", "virtualenv"),
];

/// Source: Apache OpenWhisk documentation, "Creating and invoking JavaScript actions", packages of the Node.js runtimes.
const OPENWHISK_NODE: &[(&str, &str)] = &[("openwhisk", "openwhisk")];

/// Source: nuclio/nuclio, `pkg/processor/runtime/python/py/requirements` (the wrapper's own environment).
const NUCLIO_PYTHON: &[(&str, &str)] = &[("nuclio_sdk", "nuclio-sdk")];

/// The package by which the platform itself explains an import, when the function neither declares nor locks one.
///
/// `module` is a dotted Python module or a JS specifier, subpaths allowed.
pub fn provided_by_platform(platform: &Platform, provider: Provider, module: &str) -> Option<&'static str> {
    let table = match (provider, platform.language) {
        (Provider::AwsLambda, Language::Python) => LAMBDA_PYTHON,
        (Provider::AwsLambda, Language::Node) => return aws_sdk(platform, module),
        (Provider::Azure, Language::Python) => AZURE_PYTHON,
        (Provider::Azure, Language::Node) => AZURE_NODE,
        (Provider::Google, Language::Python) => GOOGLE_PYTHON,
        (Provider::Google, Language::Node) => GOOGLE_NODE,
        (Provider::OpenWhisk, Language::Python) => OPENWHISK_PYTHON,
        (Provider::OpenWhisk, Language::Node) => OPENWHISK_NODE,
        (Provider::Nuclio, Language::Python) => NUCLIO_PYTHON,
        // Development kits and templates of the others are dependencies of the function itself, or lie in an image.
        _ => return None,
    };
    let separator = if platform.language == Language::Python { '.' } else { '/' };
    let within =
        |name: &str| module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator));
    table.iter().find(|(name, _)| within(name)).map(|(_, distribution)| *distribution)
}

fn aws_sdk(platform: &Platform, module: &str) -> Option<&'static str> {
    let (major, _) = platform.version_pair();
    let first = module.split('/').next()?;
    if major < LAMBDA_NODE_SDK_3 {
        return (first == "aws-sdk").then_some("aws-sdk");
    }
    // A bare scope is no package.
    let scoped = module.len() > first.len() + 1;
    ["@aws-sdk", "@smithy"].into_iter().find(|scope| scoped && *scope == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lambda_provides_the_sdk_of_its_time() {
        let python = Platform::linux(Language::Python, "3.12");
        let node = |version| Platform::linux(Language::Node, version);
        for (platform, module, expected) in [
            (&python, "boto3", Some("boto3")),
            (&python, "botocore.exceptions", Some("botocore")),
            (&python, "dateutil.parser", Some("python-dateutil")),
            (&python, "requests", None),
            (&python, "boto3x", None),
            (&node("20"), "@aws-sdk/client-s3", Some("@aws-sdk")),
            (&node("18"), "@smithy/node-http-handler", Some("@smithy")),
            (&node("20"), "@aws-sdk", None),
            (&node("20"), "aws-sdk", None),
            (&node("16"), "aws-sdk/clients/s3", Some("aws-sdk")),
            (&node("16"), "@aws-sdk/client-s3", None),
            (&node("20"), "express", None),
        ] {
            assert_eq!(provided_by_platform(platform, Provider::AwsLambda, module), expected, "{platform} {module}");
            assert_eq!(provided_by_platform(platform, Provider::Unknown, module), None, "{platform} {module}");
        }
    }

    #[test]
    fn each_provider_brings_its_own() {
        let python = Platform::linux(Language::Python, "3.11");
        let node = Platform::linux(Language::Node, "20");
        for (platform, provider, module, expected) in [
            (&python, Provider::Azure, "azure.functions", Some("azure-functions")),
            (&python, Provider::Azure, "azure.functions.decorators", Some("azure-functions")),
            (&python, Provider::Azure, "azure.storage.blob", None),
            (&python, Provider::Azure, "azure", None),
            (&node, Provider::Azure, "@azure/functions", None),
            (&python, Provider::Google, "functions_framework", Some("functions-framework")),
            (&python, Provider::Google, "flask", Some("flask")),
            (&python, Provider::Google, "google.cloud.storage", None),
            (&node, Provider::Google, "@google-cloud/functions-framework", Some("@google-cloud/functions-framework")),
            (&node, Provider::Google, "@google-cloud/storage", None),
            (&python, Provider::OpenWhisk, "requests", Some("requests")),
            (&python, Provider::Google, "requests", None),
            (&node, Provider::OpenWhisk, "openwhisk", Some("openwhisk")),
            (&python, Provider::Nuclio, "nuclio_sdk", Some("nuclio-sdk")),
            (&python, Provider::Fn, "fdk", None),
            (&node, Provider::Vercel, "next", None),
        ] {
            assert_eq!(provided_by_platform(platform, provider, module), expected, "{provider:?} {module}");
        }
    }
}
