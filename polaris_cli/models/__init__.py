"""The known models, where their files are, and which of them fit this machine.

Loads no model, and does not know about stories.

    catalogue:          the known models and their figures
    reference:          `ModelRef`, a model's name resolved
    cache:              a model's files on this machine
    model_files:        the settings in a model's folder, checked before loading
    weights:            the weight files in a model's folder
    gguf_files:         what a GGUF file says of itself
    gguf_choice:        which of several GGUF files to use
    server_environment: keys, proxies and certificates for servers
    server_events:      reads the streams of servers
    refusals:           what a server says when it refuses a request
    connection:         HTTP to an OpenAI-compatible server
    shapes:             what the JSON of a server must look like
    servers:            what a server is and which models it has
    resolving:          resolves a name to a `ModelRef`
    hub:                access to the hub, and what is downloaded from it
    hub_errors:         explains errors from the hub
    download:           resumable downloads into the hub's cache
    devices:            GPUs, MPS and CPU, and their memory
    cgroups:            the groups of Linux that limit this process
    memory:             how much memory a model needs
    sizes:              how large a model is, from the catalogue or its files
    parameters:         how many parameters a model has
    threads:            how many CPU threads to compute with
"""
