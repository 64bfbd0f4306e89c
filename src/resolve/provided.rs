//! What a platform puts beside a function's own packages.

use crate::model::{Language, Platform};

/// Top-level modules in the image of Lambda's Python runtimes, with their distributions.
///
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

/// The package by which the platform itself explains an import, when the function neither declares nor locks one.
///
/// `module` is a dotted Python module or a JS specifier, subpaths allowed; `aws_lambda` says that the function is
/// deployed to AWS Lambda. Elsewhere nothing is known to be provided.
pub fn provided_by_platform(platform: &Platform, aws_lambda: bool, module: &str) -> Option<&'static str> {
    if !aws_lambda {
        return None;
    }
    match platform.language {
        Language::Python => {
            let top = module.split('.').next()?;
            LAMBDA_PYTHON.iter().find(|(name, _)| *name == top).map(|(_, distribution)| *distribution)
        }
        Language::Node => {
            let (major, _) = platform.version_pair();
            let first = module.split('/').next()?;
            if major >= LAMBDA_NODE_SDK_3 {
                // A bare scope is no package.
                let scoped = module.len() > first.len() + 1;
                ["@aws-sdk", "@smithy"].into_iter().find(|scope| scoped && *scope == first)
            } else {
                (first == "aws-sdk").then_some("aws-sdk")
            }
        }
    }
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
            assert_eq!(provided_by_platform(platform, true, module), expected, "{platform} {module}");
            assert_eq!(provided_by_platform(platform, false, module), None, "{platform} {module}");
        }
    }
}
