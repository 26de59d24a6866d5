"""What one hostile client can do to everybody else: `python -m bench --scenario hostile`.

`attack` is what an attack is made of, `wire` the connection that it speaks over, `canary` the client beside it,
`watched` the server with a look at its loop, `stage` all three together. The attacks: `names`, `crowds`, `settling`,
`later`, `managing` and `ends` keep others waiting, `keeping` takes memory, `doors` locks others out. `table` lists
them all and prints what came out, `run` is the command.
"""
