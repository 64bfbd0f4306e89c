# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_warmset_global_optspecs
    string join \n threads= q/quiet h/help V/version
end

function __fish_warmset_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_warmset_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_warmset_using_subcommand
    set -l cmd (__fish_warmset_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c warmset -n "__fish_warmset_needs_command" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_needs_command" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_needs_command" -s V -l version -d 'Print version'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "scan" -d 'Find the functions of a fleet and what each loads (inventory.json)'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "lock" -d 'Resolve functions without a complete lock with uv or npm, in a scratch folder; their own folders stay as they are'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "measure" -d 'Measure what the packages of a fleet cost to load on this machine (costs.json)'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "merge" -d 'Join inventories and records of parts of a fleet into one inventory'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "graph" -d 'Show which packages occur together, and what sharing them would save'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "plan" -d 'Choose the images to keep warm within a memory budget, and write the plan folder'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "emit" -d 'Write the plan folder again from a plan and its inventory'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "build" -d 'Build the images of a plan folder with docker, podman or buildah, and write their digests into its swap manifest'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "inspect" -d 'Show what warmset reads in single files: locks, manifests, sources'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "explain" -d 'Say why a package is in a function\'s closure, or why a function got its image'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "check" -d 'Check in CI that a plan still fits the fleet'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "advise" -d 'Say which functions could share more if they moved to versions that others have, inside their own ranges'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "serve" -d 'Run functions on the images of a swap manifest: the reference runtime (Linux)'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "replay" -d 'Run a trace without images, with one image a function, and with the plan\'s, and compare (Linux)'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "invoke" -d 'Call a function of a running `warmset serve`'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "formats" -d 'Say which declarations, locks, manifests and sources are read, and how much of each'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "schema" -d 'Write the JSON Schemas of all artefacts'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c warmset -n "__fish_warmset_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l python -d 'Python version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l node -d 'Node.js major version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l arch -d 'Architecture of functions that do not say theirs' -r -f -a "x86_64\t''
aarch64\t''"
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l libc -d 'C library that the functions run on' -r -f -a "glibc\t''
musl\t''"
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l pins -d 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l locks -d 'What `warmset lock` resolved, for functions without a complete lock' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l out -d 'Write inventory.json here instead of printing it' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l format -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'
jsonl\t'One record a path, as soon as it is ready (with --stdin)'"
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l shard -d 'Scan one of N stable parts of the fleet, counted from 0; `warmset merge` joins them' -r
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l cache -d 'Keep results in this folder and take them from there while files are unchanged. It can be deleted at any time' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l stdin -d 'Read paths below the fleet\'s folder from stdin, one a line, and scan each as a function package by itself'
complete -c warmset -n "__fish_warmset_using_subcommand scan" -s 0 -l null -d 'Paths on stdin end with a NUL instead of a line feed'
complete -c warmset -n "__fish_warmset_using_subcommand scan" -l exit-zero -d 'Exit with status 0 also where there are findings: they are in the inventory'
complete -c warmset -n "__fish_warmset_using_subcommand scan" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand scan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l out -d 'Write the locks here, each in a folder with a record of where it comes from' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l only -d 'Resolve this function only; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l jobs -d 'Tools that run at the same time' -r
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l timeout -d 'Seconds that a tool may take for one function: 120, 120s, 2m' -r
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l cache -d 'Keep answers here, and take them from here where the same was asked on the same day; safe to delete' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l tool -d 'Tool to resolve with; auto takes uv before pip and npm before pnpm' -r -f -a "auto\t'The first that runs'
uv\t'`uv pip compile`'
pip\t'`pip install --dry-run`'
npm\t'`npm install --package-lock-only`'
pnpm\t'`pnpm install --lockfile-only`'"
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l exclude-newer -d 'Leave out what was published on this day or later' -r
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l python -d 'Python version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l node -d 'Node.js major version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l arch -d 'Architecture of functions that do not say theirs' -r -f -a "x86_64\t''
aarch64\t''"
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l libc -d 'C library that the functions run on' -r -f -a "glibc\t''
musl\t''"
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l pins -d 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l locks -d 'What `warmset lock` resolved, for functions without a complete lock' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l format -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand lock" -l allow-builds -d 'Let uv build packages that publish no wheel. This runs their setup.py or build backend on this machine'
complete -c warmset -n "__fish_warmset_using_subcommand lock" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand lock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l out -d 'Write the table here' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l cache -d 'Keep environments and finished repetitions in this folder; by default warmset in the user\'s cache folder. It can be deleted at any time' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l repetitions -d 'Times that each load is repeated, with the tracer and without; at least 5' -r
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l only -d 'Measure this function only; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l jobs -d 'Installers that run at the same time; what is measured runs one by one' -r
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l timeout -d 'Seconds that one program may take: 300, 300s, 5m' -r
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l code -d 'Folder that holds the fleet, where the input is an inventory or a plan' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l python -d 'Python version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l node -d 'Node.js major version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l arch -d 'Architecture of functions that do not say theirs' -r -f -a "x86_64\t''
aarch64\t''"
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l libc -d 'C library that the functions run on' -r -f -a "glibc\t''
musl\t''"
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l pins -d 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l locks -d 'What `warmset lock` resolved, for functions without a complete lock' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l format -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand measure" -l warmup -d 'Call handlers that have an event file (event.json, events/*.json, NAME.event.json), to find what a first call takes that could be done before. This runs the functions\' code'
complete -c warmset -n "__fish_warmset_using_subcommand measure" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand measure" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand merge" -l out -d 'Write inventory.json here instead of printing it' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand merge" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand merge" -l partial -d 'More is to come: keep in the inventory which parts it covers, so that it can be merged again'
complete -c warmset -n "__fish_warmset_using_subcommand merge" -l exit-zero -d 'Exit with status 0 also where there are findings: they are in the inventory'
complete -c warmset -n "__fish_warmset_using_subcommand merge" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand merge" -s h -l help -d 'Print help'
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l python -d 'Python version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l node -d 'Node.js major version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l arch -d 'Architecture of functions that do not say theirs' -r -f -a "x86_64\t''
aarch64\t''"
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l libc -d 'C library that the functions run on' -r -f -a "glibc\t''
musl\t''"
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l pins -d 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l locks -d 'What `warmset lock` resolved, for functions without a complete lock' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l costs -d 'Costs measured on this fleet; others come from the shipped table and estimates' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l format -d 'Form of the graph' -r -f -a "text\t'Tables for people'
json\t'All nodes, pairs and classes'
dot\t'Graphviz'
graphml\t'GraphML, for Gephi, yEd, networkx'
svg\t'A picture'"
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l out -d 'Write it here instead of printing it' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l min-functions -d 'Leave out packages that fewer functions than this load' -r
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l top -d 'Show at most this many bundles of packages that never occur apart, the most widely used first (text, DOT, SVG)' -r
complete -c warmset -n "__fish_warmset_using_subcommand graph" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand graph" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand graph" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l budget -d 'Memory that all images may take together on one host: 256MiB, 1.5GB (MB is 10^6 bytes). Without it that of [plan] in warmset.toml. With --sweep, a mark on the curve' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l sweep -d 'Show what more memory saves, instead of one plan: for a range 64MiB..4GiB, for budgets 256MiB,1GiB,2GiB, or by itself from the smallest useful image to where nothing more is gained' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l out -d 'Write the plan folder here; with --sweep, sweep.json and sweep.svg' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l name -d 'Name of the plan; by default the name of the folder that it is written to' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l python -d 'Python version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l node -d 'Node.js major version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l arch -d 'Architecture of functions that do not say theirs' -r -f -a "x86_64\t''
aarch64\t''"
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l libc -d 'C library that the functions run on' -r -f -a "glibc\t''
musl\t''"
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l pins -d 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l locks -d 'What `warmset lock` resolved, for functions without a complete lock' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l costs -d 'Costs measured on this fleet; others come from the shipped table and estimates' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l assume-cost -d 'Cost of every package that has none: milliseconds and size, for example 5ms,2MB' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l trace -d 'Calls of the functions: function,count or Azure Functions 2019 / 2021 columns. Without it each function weighs 1' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l keep-alive -d 'Seconds that an idle instance stays warm, for counting cold starts in a trace' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l trace-period -d 'Seconds that a function,count trace covers' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l max-images -d 'Most images to keep' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l aim -d 'For which functions to plan: expected unless stated, and known under the superset rule' -r -f -a "expected\t'Those that will come: the known ones, and parts of what they load that a new one may load'
known\t'Those that there are'"
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l share -d 'Which functions an image may serve. Under superset they see packages that they did not ask for: use it only where all functions of a trust domain have one owner' -r -f -a "subset\t'Those that load all it holds'
superset\t'Also locked functions that do not need all of it, where no version or module is in their way'"
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l waste-ms-per-mb -d 'Milliseconds charged to each start for each resident MB of its image that it does not need (superset). Without it such memory counts against the budget and in the swap time, as all memory of an image does' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l prove -d 'Seconds to spend, once the plan is made, on proving how good it is; better plans found on the way are taken. The result then depends on the machine, and plan.json says how long it took' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l exact -d 'Whether to solve the mixed-integer model after the greedy plan' -r -f -a "auto\t'Where the instance is small enough for the solver of this build'
never\t'Never'
always\t'Always; give --time-limit for large instances'"
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l time-limit -d 'Seconds that the mixed-integer solver may take. With a limit the plan can depend on the machine\'s speed' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l demands -d 'Pools, floors, pins, exclusions and limits: a file with the [plan] tables of warmset.toml. They are added to those of the fleet\'s own warmset.toml, and of two limits this one counts' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l disk -d 'Disk that the packages of all images may take together: 10GiB' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l max-image -d 'Resident memory that one image may take, with the warm host: 300MiB' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l pin -d 'Image that must be kept: PLAN#ID of another plan, or packages with versions and, if needed, a platform; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l exclude -d 'Package that no image may hold: numpy, numpy==1.26.4, npm:left-pad; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l floor -d 'Least share of its load time that each start of a function must be saved: payments-api=80%, payments-*=0.5; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l alone -d 'Function that shares an image with no other; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l cold -d 'Function that no image may serve; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l from -d 'The plan in use, plan.json or its folder: its images stay unless others save much more' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l churn -d 'Most images to build, or to build on another parent; those that leave do not count' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l loss -d 'Share of what the best plan saves that may be given up to build fewer images: 1%, 0.01' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l format -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c warmset -n "__fish_warmset_using_subcommand plan" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand plan" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand emit" -l inventory -d 'inventory.json; by default the one beside the plan' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand emit" -l out -d 'Write the plan folder here' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand emit" -l name -d 'Name of the plan; by default the name of the folder that it is written to' -r
complete -c warmset -n "__fish_warmset_using_subcommand emit" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand emit" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand emit" -s h -l help -d 'Print help'
complete -c warmset -n "__fish_warmset_using_subcommand build" -l builder -d 'Builder; auto takes the first that works of docker, podman, buildah' -r -f -a "auto\t'The first that works'
docker\t'docker with BuildKit'
podman\t'podman'
buildah\t'buildah'"
complete -c warmset -n "__fish_warmset_using_subcommand build" -l only -d 'Build this image and those that it stands on only; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand build" -l registry -d 'Put this before the names of the images: registry.example/team' -r
complete -c warmset -n "__fish_warmset_using_subcommand build" -l tag -d 'Tag of the images, instead of the plan\'s' -r
complete -c warmset -n "__fish_warmset_using_subcommand build" -l base -d 'Base image of a platform (python3.11-linux-x86_64-glibc), a version (python3.11) or a language (python), instead of the Dockerfiles\'; may be given again, the most specific counts' -r
complete -c warmset -n "__fish_warmset_using_subcommand build" -l secret -d 'Give a file to the builds as a secret: id=pip_conf,src=FILE (npmrc and ca likewise). It is in no layer. May be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand build" -l pull -d 'Whether a base image that the builder does not have is fetched' -r -f -a "never\t'Never'
missing\t'When the builder does not have them'"
complete -c warmset -n "__fish_warmset_using_subcommand build" -l jobs -d 'Images that are built at the same time' -r
complete -c warmset -n "__fish_warmset_using_subcommand build" -l timeout -d 'Longest time for one image: 90s, 30m' -r
complete -c warmset -n "__fish_warmset_using_subcommand build" -l logs -d 'Keep what the builder says of each image in this folder' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand build" -l builder-arg -d 'Give this argument to the builder\'s build command: --builder-arg=--network=host; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand build" -l format -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c warmset -n "__fish_warmset_using_subcommand build" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand build" -l push -d 'Push each image when it is built'
complete -c warmset -n "__fish_warmset_using_subcommand build" -l dry-run -d 'Print the commands instead of running them'
complete -c warmset -n "__fish_warmset_using_subcommand build" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand inspect" -l as -d 'Read the files as this kind, whatever their names suggest' -r
complete -c warmset -n "__fish_warmset_using_subcommand inspect" -l closure -d 'Show the production closure of a lock on this platform instead of everything that it names' -r
complete -c warmset -n "__fish_warmset_using_subcommand inspect" -l format -d 'What is printed; with several files JSON is one object a line' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c warmset -n "__fish_warmset_using_subcommand inspect" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand inspect" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand explain" -l python -d 'Python version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand explain" -l node -d 'Node.js major version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand explain" -l arch -d 'Architecture of functions that do not say theirs' -r -f -a "x86_64\t''
aarch64\t''"
complete -c warmset -n "__fish_warmset_using_subcommand explain" -l libc -d 'C library that the functions run on' -r -f -a "glibc\t''
musl\t''"
complete -c warmset -n "__fish_warmset_using_subcommand explain" -l pins -d 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand explain" -l locks -d 'What `warmset lock` resolved, for functions without a complete lock' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand explain" -l format -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c warmset -n "__fish_warmset_using_subcommand explain" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand explain" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand check" -l plan -d 'plan.json, or a plan folder' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand check" -l min-saved -d 'Least share of all load time that the plan must still save, from 0 to 1' -r
complete -c warmset -n "__fish_warmset_using_subcommand check" -l python -d 'Python version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand check" -l node -d 'Node.js major version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand check" -l arch -d 'Architecture of functions that do not say theirs' -r -f -a "x86_64\t''
aarch64\t''"
complete -c warmset -n "__fish_warmset_using_subcommand check" -l libc -d 'C library that the functions run on' -r -f -a "glibc\t''
musl\t''"
complete -c warmset -n "__fish_warmset_using_subcommand check" -l pins -d 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand check" -l locks -d 'What `warmset lock` resolved, for functions without a complete lock' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand check" -l format -d 'Form of the findings' -r -f -a "human\t'For people'
json\t'For programs'
sarif\t'SARIF 2.1.0, for code scanning'
github\t'GitHub workflow commands, shown as annotations'"
complete -c warmset -n "__fish_warmset_using_subcommand check" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand check" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l budget -d 'Memory that all images may take together on one host: 256MiB, 1.5GB (MB is 10^6 bytes). Without it that of [plan] in warmset.toml' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l max-advice -d 'Most pieces of advice' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l min-gain -d 'Leave out advice that saves less than this share of all load time, and of the images\' memory: 0.1%, 0.001' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l python -d 'Python version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l node -d 'Node.js major version of functions that do not say theirs' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l arch -d 'Architecture of functions that do not say theirs' -r -f -a "x86_64\t''
aarch64\t''"
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l libc -d 'C library that the functions run on' -r -f -a "glibc\t''
musl\t''"
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l pins -d 'Versions for functions without a lock: a lock or requirements file, or lines of name==version and name@version' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l locks -d 'What `warmset lock` resolved, for functions without a complete lock' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l costs -d 'Costs measured on this fleet; others come from the shipped table and estimates' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l assume-cost -d 'Cost of every package that has none: milliseconds and size, for example 5ms,2MB' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l trace -d 'Calls of the functions: function,count or Azure Functions 2019 / 2021 columns. Without it each function weighs 1' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l keep-alive -d 'Seconds that an idle instance stays warm, for counting cold starts in a trace' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l trace-period -d 'Seconds that a function,count trace covers' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l max-images -d 'Most images to keep' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l aim -d 'For which functions to plan: expected unless stated, and known under the superset rule' -r -f -a "expected\t'Those that will come: the known ones, and parts of what they load that a new one may load'
known\t'Those that there are'"
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l share -d 'Which functions an image may serve. Under superset they see packages that they did not ask for: use it only where all functions of a trust domain have one owner' -r -f -a "subset\t'Those that load all it holds'
superset\t'Also locked functions that do not need all of it, where no version or module is in their way'"
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l waste-ms-per-mb -d 'Milliseconds charged to each start for each resident MB of its image that it does not need (superset). Without it such memory counts against the budget and in the swap time, as all memory of an image does' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l demands -d 'Pools, floors, pins, exclusions and limits: a file with the [plan] tables of warmset.toml. They are added to those of the fleet\'s own warmset.toml, and of two limits this one counts' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l disk -d 'Disk that the packages of all images may take together: 10GiB' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l max-image -d 'Resident memory that one image may take, with the warm host: 300MiB' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l pin -d 'Image that must be kept: PLAN#ID of another plan, or packages with versions and, if needed, a platform; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l exclude -d 'Package that no image may hold: numpy, numpy==1.26.4, npm:left-pad; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l floor -d 'Least share of its load time that each start of a function must be saved: payments-api=80%, payments-*=0.5; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l alone -d 'Function that shares an image with no other; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l cold -d 'Function that no image may serve; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l format -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand advise" -l exit-zero -d 'Exit with status 0 also where there is advice'
complete -c warmset -n "__fish_warmset_using_subcommand advise" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand advise" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l code -d 'Folder that the functions\' paths are relative to: the fleet that was planned' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l cache -d 'Folder for installed packages, shared by all runs; safe to delete. In the user\'s cache folder by default' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l isolation -d 'How hosts and functions are shut in' -r -f -a "auto\t'As well as this machine and user permit; less than full needs --allow-missing-isolation'
none\t'Not at all: for trusted functions, and for tests'"
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l first-id -d 'First of 65,536 user ids that nothing else on this machine uses, for full isolation' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l standby -d 'Processes that a Python host forks ahead of time, so that a call need not wait for it' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l pool -d 'Processes that a Node image keeps ready; what the manifest says otherwise' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l timeout -d 'Time that a call may take: 30s, 2m' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l memory -d 'Memory that a call may take; no limit otherwise' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l pids -d 'Processes and threads of a call' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l cpus -d 'Processors that a call may use: 1, 0.5; all otherwise' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l max-answer -d 'Bytes that an answer may have in JSON' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l retries -d 'How often a call is made again whose host ended before it answered, though it may have begun' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l criu -d 'Whether CRIU thaws a loaded process where an image cannot be forked, or no process of it is ready' -r -f -a "auto\t'Where `criu check` succeeds, it is new enough, and isolation is full; why not is said once'
off\t'Never'"
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l socket -d 'Unix socket to listen on' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l metrics -d 'Address for GET /metrics and /status besides the socket: 127.0.0.1:9464' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l allow-missing-isolation -d 'Go on with less isolation than asked for: what is missing is said all the same'
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l allow-threads -d 'Fork hosts although loading has started threads, which the fork loses'
complete -c warmset -n "__fish_warmset_using_subcommand serve" -l network -d 'Give functions the machine\'s network; they have none otherwise'
complete -c warmset -n "__fish_warmset_using_subcommand serve" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l code -d 'Folder that the functions\' paths are relative to: the fleet that was planned' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l cache -d 'Folder for installed packages, shared by all runs; safe to delete. In the user\'s cache folder by default' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l isolation -d 'How hosts and functions are shut in' -r -f -a "auto\t'As well as this machine and user permit; less than full needs --allow-missing-isolation'
none\t'Not at all: for trusted functions, and for tests'"
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l first-id -d 'First of 65,536 user ids that nothing else on this machine uses, for full isolation' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l standby -d 'Processes that a Python host forks ahead of time, so that a call need not wait for it' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l pool -d 'Processes that a Node image keeps ready; what the manifest says otherwise' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l timeout -d 'Time that a call may take: 30s, 2m' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l memory -d 'Memory that a call may take; no limit otherwise' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l pids -d 'Processes and threads of a call' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l cpus -d 'Processors that a call may use: 1, 0.5; all otherwise' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l max-answer -d 'Bytes that an answer may have in JSON' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l retries -d 'How often a call is made again whose host ended before it answered, though it may have begun' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l trace -d 'Trace: columns function,time, or those of Azure Functions 2021 or 2019' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l calls -d 'Without a trace: how often each function is called, in turn' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l duration -d 'Time from the first call of the trace to the last: 10m. Its own otherwise' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l max-calls -d 'Most calls of the trace to make, evenly chosen' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l keep-alive -d 'Leave out calls that an instance would serve which the trace\'s last call left idle this long' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l only -d 'Replay these functions only; may be given again' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l out -d 'Write the replay as JSON here too' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l format -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l allow-missing-isolation -d 'Go on with less isolation than asked for: what is missing is said all the same'
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l allow-threads -d 'Fork hosts although loading has started threads, which the fork loses'
complete -c warmset -n "__fish_warmset_using_subcommand replay" -l network -d 'Give functions the machine\'s network; they have none otherwise'
complete -c warmset -n "__fish_warmset_using_subcommand replay" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand invoke" -l event -d 'File with its event in JSON; `-` is stdin' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand invoke" -l socket -d 'Unix socket of the runtime' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand invoke" -l format -d 'What is printed: the result alone, or all that is known of the call' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c warmset -n "__fish_warmset_using_subcommand invoke" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand invoke" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand invoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand formats" -l format -d 'What is printed' -r -f -a "text\t'For people'
json\t'For programs'
markdown\t'For documents'"
complete -c warmset -n "__fish_warmset_using_subcommand formats" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand formats" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand formats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c warmset -n "__fish_warmset_using_subcommand schema" -l out -d 'Write all schemas into this folder; without it they are printed' -r -F
complete -c warmset -n "__fish_warmset_using_subcommand schema" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand schema" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand schema" -s h -l help -d 'Print help'
complete -c warmset -n "__fish_warmset_using_subcommand completions" -l threads -d 'Threads to use; the output does not depend on it. 0 takes one for each core' -r
complete -c warmset -n "__fish_warmset_using_subcommand completions" -s q -l quiet -d 'Say nothing on stderr but errors'
complete -c warmset -n "__fish_warmset_using_subcommand completions" -s h -l help -d 'Print help'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "scan" -d 'Find the functions of a fleet and what each loads (inventory.json)'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "lock" -d 'Resolve functions without a complete lock with uv or npm, in a scratch folder; their own folders stay as they are'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "measure" -d 'Measure what the packages of a fleet cost to load on this machine (costs.json)'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "merge" -d 'Join inventories and records of parts of a fleet into one inventory'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "graph" -d 'Show which packages occur together, and what sharing them would save'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "plan" -d 'Choose the images to keep warm within a memory budget, and write the plan folder'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "emit" -d 'Write the plan folder again from a plan and its inventory'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "build" -d 'Build the images of a plan folder with docker, podman or buildah, and write their digests into its swap manifest'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "inspect" -d 'Show what warmset reads in single files: locks, manifests, sources'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "explain" -d 'Say why a package is in a function\'s closure, or why a function got its image'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "check" -d 'Check in CI that a plan still fits the fleet'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "advise" -d 'Say which functions could share more if they moved to versions that others have, inside their own ranges'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "serve" -d 'Run functions on the images of a swap manifest: the reference runtime (Linux)'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "replay" -d 'Run a trace without images, with one image a function, and with the plan\'s, and compare (Linux)'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "invoke" -d 'Call a function of a running `warmset serve`'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "formats" -d 'Say which declarations, locks, manifests and sources are read, and how much of each'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "schema" -d 'Write the JSON Schemas of all artefacts'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c warmset -n "__fish_warmset_using_subcommand help; and not __fish_seen_subcommand_from scan lock measure merge graph plan emit build inspect explain check advise serve replay invoke formats schema completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
