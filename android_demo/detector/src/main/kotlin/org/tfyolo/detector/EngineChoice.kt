package org.tfyolo.detector

/** Small texts that outlive the app's process. */
internal interface Memory {
    fun get(key: String): String?

    /** Null forgets. Written before this returns. */
    fun put(key: String, value: String?)
}

/**
 * Finds what runs a network quickest, and remembers it.
 *
 * @param start makes a runner; throws [EngineException] where the engine is not there or refuses.
 * @param memory what earlier starts found, under `key`: the model, the device and its system.
 */
internal class EngineChoice(
    private val options: Options,
    private val cores: Int,
    private val memory: Memory,
    private val key: String,
    private val start: (Engine) -> Runner,
) {
    /** @throws ModelException no engine runs it. */
    fun make(): Pair<Runner, Backend> {
        val wanted = candidates()
        wanted.singleOrNull()?.let { return startNamed(it) }
        remembered()?.takeIf { it in wanted }?.let { engine ->
            try {
                return start(engine) to Backend(engine.delegate, engine.threads)
            } catch (_: EngineException) {
                memory.put(choiceKey, null)
            }
        }
        return startQuickest(wanted)
    }

    private fun candidates(): List<Engine> {
        val counts = options.threads?.let { listOf(it) } ?: THREADS.filter { it == 1 || it <= cores }
        val processor = counts.map { Engine(Delegate.CPU, it) }
        val graphics = Engine(Delegate.GPU, counts.last())
        return when (options.delegate) {
            Delegate.AUTO -> processor + graphics
            Delegate.CPU -> processor
            Delegate.GPU -> listOf(graphics)
        }
    }

    private fun startNamed(engine: Engine): Pair<Runner, Backend> {
        val why = try {
            return attempt(engine, start) to Backend(engine.delegate, engine.threads)
        } catch (error: EngineException) {
            error.message.orEmpty()
        }
        if (engine.delegate != Delegate.GPU) throw ModelException(ModelException.Problem.DOES_NOT_FIT, "The model does not run: $why")
        val (runner, backend) = EngineChoice(options.copy(delegate = Delegate.CPU), cores, memory, key, start).make()
        return runner to backend.copy(fallback = why)
    }

    private fun startQuickest(wanted: List<Engine>): Pair<Runner, Backend> {
        var best: Runner? = null
        var bestMs = Float.MAX_VALUE
        val trials = wanted.map { engine ->
            try {
                val runner = attempt(engine) { start(it).also(::warmUp) }
                val median = time(runner)
                if (median < bestMs) {
                    best?.close()
                    best = runner
                    bestMs = median
                } else {
                    runner.close()
                }
                Trial(engine.delegate, engine.threads, median, null)
            } catch (error: EngineException) {
                Trial(engine.delegate, engine.threads, null, error.message)
            }
        }
        val runner = best ?: throw ModelException(
            ModelException.Problem.DOES_NOT_FIT,
            "The model does not run: ${trials.first().problem}",
        )
        memory.put(choiceKey, "${runner.engine.delegate} ${runner.engine.threads}")
        return runner to Backend(runner.engine.delegate, runner.engine.threads, trials)
    }

    /** A driver may take the whole app down with it: what was tried last is written down before, and not tried again. */
    private fun attempt(engine: Engine, make: (Engine) -> Runner): Runner {
        if (engine.delegate != Delegate.GPU) return make(engine)
        if (memory.get(attemptKey) != null) {
            throw EngineException("the app stopped when it was tried with this model", IllegalStateException(attemptKey))
        }
        memory.put(attemptKey, "$engine")
        return try {
            make(engine)
        } finally {
            memory.put(attemptKey, null)
        }
    }

    private fun warmUp(runner: Runner) = repeat(WARM_UP) { runGuarded(runner) }

    /** Median of some runs, in milliseconds; less of them where one takes long. */
    private fun time(runner: Runner): Float {
        val times = ArrayList<Float>()
        val end = System.nanoTime() + MOST_NS
        while (times.size < RUNS && (times.isEmpty() || System.nanoTime() < end)) {
            val begin = System.nanoTime()
            runGuarded(runner)
            times += (System.nanoTime() - begin) / 1e6f
        }
        return times.sorted()[times.size / 2]
    }

    private fun runGuarded(runner: Runner) {
        try {
            runner.run()
        } catch (error: RuntimeException) {
            runner.close()
            throw EngineException(reasonOf(error), error)
        }
        // Half precision overflows in some drivers.
        if (runner.outputs.values.any { output -> output.values.any { !it.isFinite() } }) {
            runner.close()
            throw EngineException("its results are no numbers", ArithmeticException())
        }
    }

    private fun remembered(): Engine? {
        val (delegate, threads) = memory.get(choiceKey)?.split(' ')?.takeIf { it.size == 2 } ?: return null
        val known = Delegate.entries.firstOrNull { it.name == delegate } ?: return null
        return Engine(known, threads.toIntOrNull() ?: return null)
    }

    private val choiceKey = "$key quickest of ${candidates().joinToString { "${it.delegate} ${it.threads}" }}"
    private val attemptKey = "$key attempt"

    private companion object {
        val THREADS = listOf(1, 2, 4)
        const val WARM_UP = 2
        const val RUNS = 7
        const val MOST_NS = 1_500_000_000L
    }
}
