"""What any controller needs and none of ours owns: API client, informer, work queue, Lease election, events, metrics."""
