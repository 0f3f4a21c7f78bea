"""One training loop for pretraining, domain adaptation and fine-tuning, on one worker or many, with DeepSpeed.

What belongs here: the loop, its engine, group BatchNorm, checkpoints by name, progress, and the start through Ray Train.
What does not: losses (`objectives`), networks (`models`), films (`data`), where files lie (`artifacts`).

    training_run  TrainingRun: what is trained, on what, how
    train         train(run): in this process, as one worker of several or alone
    ray_launch    launch(run, num_workers=...): the same through Ray Train, from a driver
    assemble      from a run to objective and batches
    loop          steps, epochs, checkpoints, stops
    engine        DeepSpeed and its traps
    model_state   all tensors by name, for any ZeRO stage and number of workers
    checkpoints   their files, and storing them beside the training
    batch_norm    groups of fixed size, so that the number of workers does not change the maths
    step_agreement     what workers agree on after each step
    workers, schedule, memory, checkpoint_policy, start_weights, progress, mailbox, process_group, optimizer, weight_files, errors

Modules are imported by name: this package itself imports neither torch nor Ray, so that a driver and Ray's controller stay light.
"""
