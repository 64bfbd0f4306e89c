
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'warmset' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'warmset'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'warmset' {
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('scan', 'scan', [CompletionResultType]::ParameterValue, 'Find the functions of a fleet and what each loads (inventory.json)')
            [CompletionResult]::new('lock', 'lock', [CompletionResultType]::ParameterValue, 'Resolve functions without a complete lock with uv or npm, in a scratch folder; their own folders stay as they are')
            [CompletionResult]::new('measure', 'measure', [CompletionResultType]::ParameterValue, 'Measure what the packages of a fleet cost to load on this machine (costs.json)')
            [CompletionResult]::new('merge', 'merge', [CompletionResultType]::ParameterValue, 'Join inventories and records of parts of a fleet into one inventory')
            [CompletionResult]::new('graph', 'graph', [CompletionResultType]::ParameterValue, 'Show which packages occur together, and what sharing them would save')
            [CompletionResult]::new('plan', 'plan', [CompletionResultType]::ParameterValue, 'Choose the images to keep warm within a memory budget, and write the plan folder')
            [CompletionResult]::new('emit', 'emit', [CompletionResultType]::ParameterValue, 'Write the plan folder again from a plan and its inventory')
            [CompletionResult]::new('build', 'build', [CompletionResultType]::ParameterValue, 'Build the images of a plan folder with docker, podman or buildah, and write their digests into its swap manifest')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what warmset reads in single files: locks, manifests, sources')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Say why a package is in a function''s closure, or why a function got its image')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Check in CI that a plan still fits the fleet')
            [CompletionResult]::new('advise', 'advise', [CompletionResultType]::ParameterValue, 'Say which functions could share more if they moved to versions that others have, inside their own ranges')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Run functions on the images of a swap manifest: the reference runtime (Linux)')
            [CompletionResult]::new('replay', 'replay', [CompletionResultType]::ParameterValue, 'Run a trace without images, with one image a function, and with the plan''s, and compare (Linux)')
            [CompletionResult]::new('invoke', 'invoke', [CompletionResultType]::ParameterValue, 'Call a function of a running `warmset serve`')
            [CompletionResult]::new('formats', 'formats', [CompletionResultType]::ParameterValue, 'Say which declarations, locks, manifests and sources are read, and how much of each')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Write the JSON Schemas of all artefacts')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'warmset;scan' {
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Python version of functions that do not say theirs')
            [CompletionResult]::new('--node', '--node', [CompletionResultType]::ParameterName, 'Node.js major version of functions that do not say theirs')
            [CompletionResult]::new('--arch', '--arch', [CompletionResultType]::ParameterName, 'Architecture of functions that do not say theirs')
            [CompletionResult]::new('--libc', '--libc', [CompletionResultType]::ParameterName, 'C library that the functions run on')
            [CompletionResult]::new('--pins', '--pins', [CompletionResultType]::ParameterName, 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version')
            [CompletionResult]::new('--locks', '--locks', [CompletionResultType]::ParameterName, 'What `warmset lock` resolved, for functions without a complete lock')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write inventory.json here instead of printing it')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed')
            [CompletionResult]::new('--shard', '--shard', [CompletionResultType]::ParameterName, 'Scan one of N stable parts of the fleet, counted from 0; `warmset merge` joins them')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep results in this folder and take them from there while files are unchanged. It can be deleted at any time')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('--stdin', '--stdin', [CompletionResultType]::ParameterName, 'Read paths below the fleet''s folder from stdin, one a line, and scan each as a function package by itself')
            [CompletionResult]::new('-0', '-0', [CompletionResultType]::ParameterName, 'Paths on stdin end with a NUL instead of a line feed')
            [CompletionResult]::new('--null', '--null', [CompletionResultType]::ParameterName, 'Paths on stdin end with a NUL instead of a line feed')
            [CompletionResult]::new('--exit-zero', '--exit-zero', [CompletionResultType]::ParameterName, 'Exit with status 0 also where there are findings: they are in the inventory')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;lock' {
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write the locks here, each in a folder with a record of where it comes from')
            [CompletionResult]::new('--only', '--only', [CompletionResultType]::ParameterName, 'Resolve this function only; may be given again')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'Tools that run at the same time')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Seconds that a tool may take for one function: 120, 120s, 2m')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep answers here, and take them from here where the same was asked on the same day; safe to delete')
            [CompletionResult]::new('--tool', '--tool', [CompletionResultType]::ParameterName, 'Tool to resolve with; auto takes uv before pip and npm before pnpm')
            [CompletionResult]::new('--exclude-newer', '--exclude-newer', [CompletionResultType]::ParameterName, 'Leave out what was published on this day or later')
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Python version of functions that do not say theirs')
            [CompletionResult]::new('--node', '--node', [CompletionResultType]::ParameterName, 'Node.js major version of functions that do not say theirs')
            [CompletionResult]::new('--arch', '--arch', [CompletionResultType]::ParameterName, 'Architecture of functions that do not say theirs')
            [CompletionResult]::new('--libc', '--libc', [CompletionResultType]::ParameterName, 'C library that the functions run on')
            [CompletionResult]::new('--pins', '--pins', [CompletionResultType]::ParameterName, 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version')
            [CompletionResult]::new('--locks', '--locks', [CompletionResultType]::ParameterName, 'What `warmset lock` resolved, for functions without a complete lock')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('--allow-builds', '--allow-builds', [CompletionResultType]::ParameterName, 'Let uv build packages that publish no wheel. This runs their setup.py or build backend on this machine')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;measure' {
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write the table here')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Keep environments and finished repetitions in this folder; by default warmset in the user''s cache folder. It can be deleted at any time')
            [CompletionResult]::new('--repetitions', '--repetitions', [CompletionResultType]::ParameterName, 'Times that each load is repeated, with the tracer and without; at least 5')
            [CompletionResult]::new('--only', '--only', [CompletionResultType]::ParameterName, 'Measure this function only; may be given again')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'Installers that run at the same time; what is measured runs one by one')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Seconds that one program may take: 300, 300s, 5m')
            [CompletionResult]::new('--code', '--code', [CompletionResultType]::ParameterName, 'Folder that holds the fleet, where the input is an inventory or a plan')
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Python version of functions that do not say theirs')
            [CompletionResult]::new('--node', '--node', [CompletionResultType]::ParameterName, 'Node.js major version of functions that do not say theirs')
            [CompletionResult]::new('--arch', '--arch', [CompletionResultType]::ParameterName, 'Architecture of functions that do not say theirs')
            [CompletionResult]::new('--libc', '--libc', [CompletionResultType]::ParameterName, 'C library that the functions run on')
            [CompletionResult]::new('--pins', '--pins', [CompletionResultType]::ParameterName, 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version')
            [CompletionResult]::new('--locks', '--locks', [CompletionResultType]::ParameterName, 'What `warmset lock` resolved, for functions without a complete lock')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('--warmup', '--warmup', [CompletionResultType]::ParameterName, 'Call handlers that have an event file (event.json, events/*.json, NAME.event.json), to find what a first call takes that could be done before. This runs the functions'' code')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;merge' {
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write inventory.json here instead of printing it')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('--partial', '--partial', [CompletionResultType]::ParameterName, 'More is to come: keep in the inventory which parts it covers, so that it can be merged again')
            [CompletionResult]::new('--exit-zero', '--exit-zero', [CompletionResultType]::ParameterName, 'Exit with status 0 also where there are findings: they are in the inventory')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'warmset;graph' {
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Python version of functions that do not say theirs')
            [CompletionResult]::new('--node', '--node', [CompletionResultType]::ParameterName, 'Node.js major version of functions that do not say theirs')
            [CompletionResult]::new('--arch', '--arch', [CompletionResultType]::ParameterName, 'Architecture of functions that do not say theirs')
            [CompletionResult]::new('--libc', '--libc', [CompletionResultType]::ParameterName, 'C library that the functions run on')
            [CompletionResult]::new('--pins', '--pins', [CompletionResultType]::ParameterName, 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version')
            [CompletionResult]::new('--locks', '--locks', [CompletionResultType]::ParameterName, 'What `warmset lock` resolved, for functions without a complete lock')
            [CompletionResult]::new('--costs', '--costs', [CompletionResultType]::ParameterName, 'Costs measured on this fleet; others come from the shipped table and estimates')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the graph')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write it here instead of printing it')
            [CompletionResult]::new('--min-functions', '--min-functions', [CompletionResultType]::ParameterName, 'Leave out packages that fewer functions than this load')
            [CompletionResult]::new('--top', '--top', [CompletionResultType]::ParameterName, 'Show at most this many bundles of packages that never occur apart, the most widely used first (text, DOT, SVG)')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;plan' {
            [CompletionResult]::new('--budget', '--budget', [CompletionResultType]::ParameterName, 'Memory that all images may take together on one host: 256MiB, 1.5GB (MB is 10^6 bytes). Without it that of [plan] in warmset.toml. With --sweep, a mark on the curve')
            [CompletionResult]::new('--sweep', '--sweep', [CompletionResultType]::ParameterName, 'Show what more memory saves, instead of one plan: for a range 64MiB..4GiB, for budgets 256MiB,1GiB,2GiB, or by itself from the smallest useful image to where nothing more is gained')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write the plan folder here; with --sweep, sweep.json and sweep.svg')
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'Name of the plan; by default the name of the folder that it is written to')
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Python version of functions that do not say theirs')
            [CompletionResult]::new('--node', '--node', [CompletionResultType]::ParameterName, 'Node.js major version of functions that do not say theirs')
            [CompletionResult]::new('--arch', '--arch', [CompletionResultType]::ParameterName, 'Architecture of functions that do not say theirs')
            [CompletionResult]::new('--libc', '--libc', [CompletionResultType]::ParameterName, 'C library that the functions run on')
            [CompletionResult]::new('--pins', '--pins', [CompletionResultType]::ParameterName, 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version')
            [CompletionResult]::new('--locks', '--locks', [CompletionResultType]::ParameterName, 'What `warmset lock` resolved, for functions without a complete lock')
            [CompletionResult]::new('--costs', '--costs', [CompletionResultType]::ParameterName, 'Costs measured on this fleet; others come from the shipped table and estimates')
            [CompletionResult]::new('--assume-cost', '--assume-cost', [CompletionResultType]::ParameterName, 'Cost of every package that has none: milliseconds and size, for example 5ms,2MB')
            [CompletionResult]::new('--trace', '--trace', [CompletionResultType]::ParameterName, 'Calls of the functions: function,count or Azure Functions 2019 / 2021 columns. Without it each function weighs 1')
            [CompletionResult]::new('--keep-alive', '--keep-alive', [CompletionResultType]::ParameterName, 'Seconds that an idle instance stays warm, for counting cold starts in a trace')
            [CompletionResult]::new('--trace-period', '--trace-period', [CompletionResultType]::ParameterName, 'Seconds that a function,count trace covers')
            [CompletionResult]::new('--max-images', '--max-images', [CompletionResultType]::ParameterName, 'Most images to keep')
            [CompletionResult]::new('--aim', '--aim', [CompletionResultType]::ParameterName, 'For which functions to plan: expected unless stated, and known under the superset rule')
            [CompletionResult]::new('--share', '--share', [CompletionResultType]::ParameterName, 'Which functions an image may serve. Under superset they see packages that they did not ask for: use it only where all functions of a trust domain have one owner')
            [CompletionResult]::new('--waste-ms-per-mb', '--waste-ms-per-mb', [CompletionResultType]::ParameterName, 'Milliseconds charged to each start for each resident MB of its image that it does not need (superset). Without it such memory counts against the budget and in the swap time, as all memory of an image does')
            [CompletionResult]::new('--prove', '--prove', [CompletionResultType]::ParameterName, 'Seconds to spend, once the plan is made, on proving how good it is; better plans found on the way are taken. The result then depends on the machine, and plan.json says how long it took')
            [CompletionResult]::new('--exact', '--exact', [CompletionResultType]::ParameterName, 'Whether to solve the mixed-integer model after the greedy plan')
            [CompletionResult]::new('--time-limit', '--time-limit', [CompletionResultType]::ParameterName, 'Seconds that the mixed-integer solver may take. With a limit the plan can depend on the machine''s speed')
            [CompletionResult]::new('--demands', '--demands', [CompletionResultType]::ParameterName, 'Pools, floors, pins, exclusions and limits: a file with the [plan] tables of warmset.toml. They are added to those of the fleet''s own warmset.toml, and of two limits this one counts')
            [CompletionResult]::new('--disk', '--disk', [CompletionResultType]::ParameterName, 'Disk that the packages of all images may take together: 10GiB')
            [CompletionResult]::new('--max-image', '--max-image', [CompletionResultType]::ParameterName, 'Resident memory that one image may take, with the warm host: 300MiB')
            [CompletionResult]::new('--pin', '--pin', [CompletionResultType]::ParameterName, 'Image that must be kept: PLAN#ID of another plan, or packages with versions and, if needed, a platform; may be given again')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Package that no image may hold: numpy, numpy==1.26.4, npm:left-pad; may be given again')
            [CompletionResult]::new('--floor', '--floor', [CompletionResultType]::ParameterName, 'Least share of its load time that each start of a function must be saved: payments-api=80%, payments-*=0.5; may be given again')
            [CompletionResult]::new('--alone', '--alone', [CompletionResultType]::ParameterName, 'Function that shares an image with no other; may be given again')
            [CompletionResult]::new('--cold', '--cold', [CompletionResultType]::ParameterName, 'Function that no image may serve; may be given again')
            [CompletionResult]::new('--from', '--from', [CompletionResultType]::ParameterName, 'The plan in use, plan.json or its folder: its images stay unless others save much more')
            [CompletionResult]::new('--churn', '--churn', [CompletionResultType]::ParameterName, 'Most images to build, or to build on another parent; those that leave do not count')
            [CompletionResult]::new('--loss', '--loss', [CompletionResultType]::ParameterName, 'Share of what the best plan saves that may be given up to build fewer images: 1%, 0.01')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;emit' {
            [CompletionResult]::new('--inventory', '--inventory', [CompletionResultType]::ParameterName, 'inventory.json; by default the one beside the plan')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write the plan folder here')
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'Name of the plan; by default the name of the folder that it is written to')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'warmset;build' {
            [CompletionResult]::new('--builder', '--builder', [CompletionResultType]::ParameterName, 'Builder; auto takes the first that works of docker, podman, buildah')
            [CompletionResult]::new('--only', '--only', [CompletionResultType]::ParameterName, 'Build this image and those that it stands on only; may be given again')
            [CompletionResult]::new('--registry', '--registry', [CompletionResultType]::ParameterName, 'Put this before the names of the images: registry.example/team')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'Tag of the images, instead of the plan''s')
            [CompletionResult]::new('--base', '--base', [CompletionResultType]::ParameterName, 'Base image of a platform (python3.11-linux-x86_64-glibc), a version (python3.11) or a language (python), instead of the Dockerfiles''; may be given again, the most specific counts')
            [CompletionResult]::new('--secret', '--secret', [CompletionResultType]::ParameterName, 'Give a file to the builds as a secret: id=pip_conf,src=FILE (npmrc and ca likewise). It is in no layer. May be given again')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'Whether a base image that the builder does not have is fetched')
            [CompletionResult]::new('--jobs', '--jobs', [CompletionResultType]::ParameterName, 'Images that are built at the same time')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Longest time for one image: 90s, 30m')
            [CompletionResult]::new('--logs', '--logs', [CompletionResultType]::ParameterName, 'Keep what the builder says of each image in this folder')
            [CompletionResult]::new('--builder-arg', '--builder-arg', [CompletionResultType]::ParameterName, 'Give this argument to the builder''s build command: --builder-arg=--network=host; may be given again')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('--push', '--push', [CompletionResultType]::ParameterName, 'Push each image when it is built')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print the commands instead of running them')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;inspect' {
            [CompletionResult]::new('--as', '--as', [CompletionResultType]::ParameterName, 'Read the files as this kind, whatever their names suggest')
            [CompletionResult]::new('--closure', '--closure', [CompletionResultType]::ParameterName, 'Show the production closure of a lock on this platform instead of everything that it names')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed; with several files JSON is one object a line')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;explain' {
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Python version of functions that do not say theirs')
            [CompletionResult]::new('--node', '--node', [CompletionResultType]::ParameterName, 'Node.js major version of functions that do not say theirs')
            [CompletionResult]::new('--arch', '--arch', [CompletionResultType]::ParameterName, 'Architecture of functions that do not say theirs')
            [CompletionResult]::new('--libc', '--libc', [CompletionResultType]::ParameterName, 'C library that the functions run on')
            [CompletionResult]::new('--pins', '--pins', [CompletionResultType]::ParameterName, 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version')
            [CompletionResult]::new('--locks', '--locks', [CompletionResultType]::ParameterName, 'What `warmset lock` resolved, for functions without a complete lock')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;check' {
            [CompletionResult]::new('--plan', '--plan', [CompletionResultType]::ParameterName, 'plan.json, or a plan folder')
            [CompletionResult]::new('--min-saved', '--min-saved', [CompletionResultType]::ParameterName, 'Least share of all load time that the plan must still save, from 0 to 1')
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Python version of functions that do not say theirs')
            [CompletionResult]::new('--node', '--node', [CompletionResultType]::ParameterName, 'Node.js major version of functions that do not say theirs')
            [CompletionResult]::new('--arch', '--arch', [CompletionResultType]::ParameterName, 'Architecture of functions that do not say theirs')
            [CompletionResult]::new('--libc', '--libc', [CompletionResultType]::ParameterName, 'C library that the functions run on')
            [CompletionResult]::new('--pins', '--pins', [CompletionResultType]::ParameterName, 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version')
            [CompletionResult]::new('--locks', '--locks', [CompletionResultType]::ParameterName, 'What `warmset lock` resolved, for functions without a complete lock')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Form of the findings')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;advise' {
            [CompletionResult]::new('--budget', '--budget', [CompletionResultType]::ParameterName, 'Memory that all images may take together on one host: 256MiB, 1.5GB (MB is 10^6 bytes). Without it that of [plan] in warmset.toml')
            [CompletionResult]::new('--max-advice', '--max-advice', [CompletionResultType]::ParameterName, 'Most pieces of advice')
            [CompletionResult]::new('--min-gain', '--min-gain', [CompletionResultType]::ParameterName, 'Leave out advice that saves less than this share of all load time, and of the images'' memory: 0.1%, 0.001')
            [CompletionResult]::new('--python', '--python', [CompletionResultType]::ParameterName, 'Python version of functions that do not say theirs')
            [CompletionResult]::new('--node', '--node', [CompletionResultType]::ParameterName, 'Node.js major version of functions that do not say theirs')
            [CompletionResult]::new('--arch', '--arch', [CompletionResultType]::ParameterName, 'Architecture of functions that do not say theirs')
            [CompletionResult]::new('--libc', '--libc', [CompletionResultType]::ParameterName, 'C library that the functions run on')
            [CompletionResult]::new('--pins', '--pins', [CompletionResultType]::ParameterName, 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version')
            [CompletionResult]::new('--locks', '--locks', [CompletionResultType]::ParameterName, 'What `warmset lock` resolved, for functions without a complete lock')
            [CompletionResult]::new('--costs', '--costs', [CompletionResultType]::ParameterName, 'Costs measured on this fleet; others come from the shipped table and estimates')
            [CompletionResult]::new('--assume-cost', '--assume-cost', [CompletionResultType]::ParameterName, 'Cost of every package that has none: milliseconds and size, for example 5ms,2MB')
            [CompletionResult]::new('--trace', '--trace', [CompletionResultType]::ParameterName, 'Calls of the functions: function,count or Azure Functions 2019 / 2021 columns. Without it each function weighs 1')
            [CompletionResult]::new('--keep-alive', '--keep-alive', [CompletionResultType]::ParameterName, 'Seconds that an idle instance stays warm, for counting cold starts in a trace')
            [CompletionResult]::new('--trace-period', '--trace-period', [CompletionResultType]::ParameterName, 'Seconds that a function,count trace covers')
            [CompletionResult]::new('--max-images', '--max-images', [CompletionResultType]::ParameterName, 'Most images to keep')
            [CompletionResult]::new('--aim', '--aim', [CompletionResultType]::ParameterName, 'For which functions to plan: expected unless stated, and known under the superset rule')
            [CompletionResult]::new('--share', '--share', [CompletionResultType]::ParameterName, 'Which functions an image may serve. Under superset they see packages that they did not ask for: use it only where all functions of a trust domain have one owner')
            [CompletionResult]::new('--waste-ms-per-mb', '--waste-ms-per-mb', [CompletionResultType]::ParameterName, 'Milliseconds charged to each start for each resident MB of its image that it does not need (superset). Without it such memory counts against the budget and in the swap time, as all memory of an image does')
            [CompletionResult]::new('--demands', '--demands', [CompletionResultType]::ParameterName, 'Pools, floors, pins, exclusions and limits: a file with the [plan] tables of warmset.toml. They are added to those of the fleet''s own warmset.toml, and of two limits this one counts')
            [CompletionResult]::new('--disk', '--disk', [CompletionResultType]::ParameterName, 'Disk that the packages of all images may take together: 10GiB')
            [CompletionResult]::new('--max-image', '--max-image', [CompletionResultType]::ParameterName, 'Resident memory that one image may take, with the warm host: 300MiB')
            [CompletionResult]::new('--pin', '--pin', [CompletionResultType]::ParameterName, 'Image that must be kept: PLAN#ID of another plan, or packages with versions and, if needed, a platform; may be given again')
            [CompletionResult]::new('--exclude', '--exclude', [CompletionResultType]::ParameterName, 'Package that no image may hold: numpy, numpy==1.26.4, npm:left-pad; may be given again')
            [CompletionResult]::new('--floor', '--floor', [CompletionResultType]::ParameterName, 'Least share of its load time that each start of a function must be saved: payments-api=80%, payments-*=0.5; may be given again')
            [CompletionResult]::new('--alone', '--alone', [CompletionResultType]::ParameterName, 'Function that shares an image with no other; may be given again')
            [CompletionResult]::new('--cold', '--cold', [CompletionResultType]::ParameterName, 'Function that no image may serve; may be given again')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('--exit-zero', '--exit-zero', [CompletionResultType]::ParameterName, 'Exit with status 0 also where there is advice')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;serve' {
            [CompletionResult]::new('--code', '--code', [CompletionResultType]::ParameterName, 'Folder that the functions'' paths are relative to: the fleet that was planned')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Folder for installed packages, shared by all runs; safe to delete. In the user''s cache folder by default')
            [CompletionResult]::new('--isolation', '--isolation', [CompletionResultType]::ParameterName, 'How hosts and functions are shut in')
            [CompletionResult]::new('--first-id', '--first-id', [CompletionResultType]::ParameterName, 'First of 65,536 user ids that nothing else on this machine uses, for full isolation')
            [CompletionResult]::new('--standby', '--standby', [CompletionResultType]::ParameterName, 'Processes that a Python host forks ahead of time, so that a call need not wait for it')
            [CompletionResult]::new('--pool', '--pool', [CompletionResultType]::ParameterName, 'Processes that a Node image keeps ready; what the manifest says otherwise')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Time that a call may take: 30s, 2m')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Memory that a call may take; no limit otherwise')
            [CompletionResult]::new('--pids', '--pids', [CompletionResultType]::ParameterName, 'Processes and threads of a call')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'Processors that a call may use: 1, 0.5; all otherwise')
            [CompletionResult]::new('--max-answer', '--max-answer', [CompletionResultType]::ParameterName, 'Bytes that an answer may have in JSON')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'How often a call is made again whose host ended before it answered, though it may have begun')
            [CompletionResult]::new('--criu', '--criu', [CompletionResultType]::ParameterName, 'Whether CRIU thaws a loaded process where an image cannot be forked, or no process of it is ready')
            [CompletionResult]::new('--socket', '--socket', [CompletionResultType]::ParameterName, 'Unix socket to listen on')
            [CompletionResult]::new('--metrics', '--metrics', [CompletionResultType]::ParameterName, 'Address for GET /metrics and /status besides the socket: 127.0.0.1:9464')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('--allow-missing-isolation', '--allow-missing-isolation', [CompletionResultType]::ParameterName, 'Go on with less isolation than asked for: what is missing is said all the same')
            [CompletionResult]::new('--allow-threads', '--allow-threads', [CompletionResultType]::ParameterName, 'Fork hosts although loading has started threads, which the fork loses')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'Give functions the machine''s network; they have none otherwise')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;replay' {
            [CompletionResult]::new('--code', '--code', [CompletionResultType]::ParameterName, 'Folder that the functions'' paths are relative to: the fleet that was planned')
            [CompletionResult]::new('--cache', '--cache', [CompletionResultType]::ParameterName, 'Folder for installed packages, shared by all runs; safe to delete. In the user''s cache folder by default')
            [CompletionResult]::new('--isolation', '--isolation', [CompletionResultType]::ParameterName, 'How hosts and functions are shut in')
            [CompletionResult]::new('--first-id', '--first-id', [CompletionResultType]::ParameterName, 'First of 65,536 user ids that nothing else on this machine uses, for full isolation')
            [CompletionResult]::new('--standby', '--standby', [CompletionResultType]::ParameterName, 'Processes that a Python host forks ahead of time, so that a call need not wait for it')
            [CompletionResult]::new('--pool', '--pool', [CompletionResultType]::ParameterName, 'Processes that a Node image keeps ready; what the manifest says otherwise')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Time that a call may take: 30s, 2m')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Memory that a call may take; no limit otherwise')
            [CompletionResult]::new('--pids', '--pids', [CompletionResultType]::ParameterName, 'Processes and threads of a call')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'Processors that a call may use: 1, 0.5; all otherwise')
            [CompletionResult]::new('--max-answer', '--max-answer', [CompletionResultType]::ParameterName, 'Bytes that an answer may have in JSON')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'How often a call is made again whose host ended before it answered, though it may have begun')
            [CompletionResult]::new('--trace', '--trace', [CompletionResultType]::ParameterName, 'Trace: columns function,time, or those of Azure Functions 2021 or 2019')
            [CompletionResult]::new('--calls', '--calls', [CompletionResultType]::ParameterName, 'Without a trace: how often each function is called, in turn')
            [CompletionResult]::new('--duration', '--duration', [CompletionResultType]::ParameterName, 'Time from the first call of the trace to the last: 10m. Its own otherwise')
            [CompletionResult]::new('--max-calls', '--max-calls', [CompletionResultType]::ParameterName, 'Most calls of the trace to make, evenly chosen')
            [CompletionResult]::new('--keep-alive', '--keep-alive', [CompletionResultType]::ParameterName, 'Leave out calls that an instance would serve which the trace''s last call left idle this long')
            [CompletionResult]::new('--only', '--only', [CompletionResultType]::ParameterName, 'Replay these functions only; may be given again')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write the replay as JSON here too')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('--allow-missing-isolation', '--allow-missing-isolation', [CompletionResultType]::ParameterName, 'Go on with less isolation than asked for: what is missing is said all the same')
            [CompletionResult]::new('--allow-threads', '--allow-threads', [CompletionResultType]::ParameterName, 'Fork hosts although loading has started threads, which the fork loses')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'Give functions the machine''s network; they have none otherwise')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;invoke' {
            [CompletionResult]::new('--event', '--event', [CompletionResultType]::ParameterName, 'File with its event in JSON; `-` is stdin')
            [CompletionResult]::new('--socket', '--socket', [CompletionResultType]::ParameterName, 'Unix socket of the runtime')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed: the result alone, or all that is known of the call')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;formats' {
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What is printed')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'warmset;schema' {
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Write all schemas into this folder; without it they are printed')
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'warmset;completions' {
            [CompletionResult]::new('--threads', '--threads', [CompletionResultType]::ParameterName, 'Threads to use; the output does not depend on it. 0 takes one for each core')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing on stderr but errors')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'warmset;help' {
            [CompletionResult]::new('scan', 'scan', [CompletionResultType]::ParameterValue, 'Find the functions of a fleet and what each loads (inventory.json)')
            [CompletionResult]::new('lock', 'lock', [CompletionResultType]::ParameterValue, 'Resolve functions without a complete lock with uv or npm, in a scratch folder; their own folders stay as they are')
            [CompletionResult]::new('measure', 'measure', [CompletionResultType]::ParameterValue, 'Measure what the packages of a fleet cost to load on this machine (costs.json)')
            [CompletionResult]::new('merge', 'merge', [CompletionResultType]::ParameterValue, 'Join inventories and records of parts of a fleet into one inventory')
            [CompletionResult]::new('graph', 'graph', [CompletionResultType]::ParameterValue, 'Show which packages occur together, and what sharing them would save')
            [CompletionResult]::new('plan', 'plan', [CompletionResultType]::ParameterValue, 'Choose the images to keep warm within a memory budget, and write the plan folder')
            [CompletionResult]::new('emit', 'emit', [CompletionResultType]::ParameterValue, 'Write the plan folder again from a plan and its inventory')
            [CompletionResult]::new('build', 'build', [CompletionResultType]::ParameterValue, 'Build the images of a plan folder with docker, podman or buildah, and write their digests into its swap manifest')
            [CompletionResult]::new('inspect', 'inspect', [CompletionResultType]::ParameterValue, 'Show what warmset reads in single files: locks, manifests, sources')
            [CompletionResult]::new('explain', 'explain', [CompletionResultType]::ParameterValue, 'Say why a package is in a function''s closure, or why a function got its image')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Check in CI that a plan still fits the fleet')
            [CompletionResult]::new('advise', 'advise', [CompletionResultType]::ParameterValue, 'Say which functions could share more if they moved to versions that others have, inside their own ranges')
            [CompletionResult]::new('serve', 'serve', [CompletionResultType]::ParameterValue, 'Run functions on the images of a swap manifest: the reference runtime (Linux)')
            [CompletionResult]::new('replay', 'replay', [CompletionResultType]::ParameterValue, 'Run a trace without images, with one image a function, and with the plan''s, and compare (Linux)')
            [CompletionResult]::new('invoke', 'invoke', [CompletionResultType]::ParameterValue, 'Call a function of a running `warmset serve`')
            [CompletionResult]::new('formats', 'formats', [CompletionResultType]::ParameterValue, 'Say which declarations, locks, manifests and sources are read, and how much of each')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Write the JSON Schemas of all artefacts')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'warmset;help;scan' {
            break
        }
        'warmset;help;lock' {
            break
        }
        'warmset;help;measure' {
            break
        }
        'warmset;help;merge' {
            break
        }
        'warmset;help;graph' {
            break
        }
        'warmset;help;plan' {
            break
        }
        'warmset;help;emit' {
            break
        }
        'warmset;help;build' {
            break
        }
        'warmset;help;inspect' {
            break
        }
        'warmset;help;explain' {
            break
        }
        'warmset;help;check' {
            break
        }
        'warmset;help;advise' {
            break
        }
        'warmset;help;serve' {
            break
        }
        'warmset;help;replay' {
            break
        }
        'warmset;help;invoke' {
            break
        }
        'warmset;help;formats' {
            break
        }
        'warmset;help;schema' {
            break
        }
        'warmset;help;completions' {
            break
        }
        'warmset;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
