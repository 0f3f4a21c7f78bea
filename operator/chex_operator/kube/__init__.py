"""What any controller needs; knows nothing of training.

client, connection, wire, errors, resource  calls of the API server
informer                                    caches that a list fills and a watch keeps
queue, worker                               keys that wait for a pass, and who works on them
election                                    the Lease: one replica leads
events, metrics, logs, endpoints            what people and Prometheus see
stop, clock                                 a graceful stop; time, which tests set
"""
