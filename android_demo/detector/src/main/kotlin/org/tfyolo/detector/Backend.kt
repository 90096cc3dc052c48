package org.tfyolo.detector

/**
 * What the network runs on.
 *
 * @property delegate [Delegate.CPU] or [Delegate.GPU].
 * @property trials what was timed to choose it; empty where it was named, or remembered from an earlier start.
 * @property fallback why the graphics processor that was asked for is not used; null if it is, or was not asked for.
 */
public data class Backend(
    val delegate: Delegate,
    val threads: Int,
    val trials: List<Trial> = emptyList(),
    val fallback: String? = null,
)

/**
 * One attempt.
 *
 * @property medianMs of a run; null where it could not be run.
 * @property problem why not.
 */
public data class Trial(val delegate: Delegate, val threads: Int, val medianMs: Float?, val problem: String?)
