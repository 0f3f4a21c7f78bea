"""Running a plan: on this machine, or one attempt at one of its stages as the driver of a cluster's Ray.

local                 `chex run`: preflight, then every unfinished stage in order, with one Ray for all of them
cluster               an attempt at a stage, as the operator starts it
progress_config_map   what such an attempt tells the operator, and hears from it
log_archive           logs that outlive their cluster; log_archiver, chunk_writer and redaction do the work
log_chunks            where those logs lie, and how they are read
"""
