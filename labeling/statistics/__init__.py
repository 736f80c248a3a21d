"""How good the rankings are: agreement, consensus, the human ceiling, reliability, bias, and the ranked models compared.

Pure functions of judgements (`judgements.Judgement`), numpy alone; pages, REST, exports and the engine call the same ones. Every figure comes as
`figures.Figure`: a value with its 95 % interval, or the reason why there is none.
"""
