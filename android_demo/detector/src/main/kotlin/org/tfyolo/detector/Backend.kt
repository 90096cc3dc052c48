package org.tfyolo.detector

/**
 * The engine that runs the model, and how it was selected.
 *
 * @property delegate [Delegate.CPU] or [Delegate.GPU].
 * @property threads number of CPU threads.
 * @property trials the engines that were timed; empty if the engine was requested by name, or remembered from an earlier start.
 * @property fallback why the requested GPU is not used; null if it is used, or was not requested.
 */
public data class Backend(
    val delegate: Delegate,
    val threads: Int,
    val trials: List<Trial> = emptyList(),
    val fallback: String? = null,
)

/**
 * Result of timing one engine.
 *
 * @property delegate the delegate that was timed.
 * @property threads number of CPU threads.
 * @property medianMs median time of one inference in milliseconds; null if the engine failed.
 * @property problem why the engine failed; null if it ran.
 */
public data class Trial(val delegate: Delegate, val threads: Int, val medianMs: Float?, val problem: String?)
