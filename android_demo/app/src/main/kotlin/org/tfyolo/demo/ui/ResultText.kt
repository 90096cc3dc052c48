package org.tfyolo.demo.ui

import android.content.res.Resources
import java.text.NumberFormat
import org.tfyolo.demo.R
import org.tfyolo.detector.Backend
import org.tfyolo.detector.Delegate
import org.tfyolo.detector.Classification
import org.tfyolo.detector.Detections
import org.tfyolo.detector.ImageResult
import org.tfyolo.detector.Timings

/** Formats results in the user's language. */
object ResultText {
    fun percent(score: Float): String = NumberFormat.getPercentInstance().format(score)

    /** One line about a result, such as "3 objects: 2 RBC, 1 WBC" or "Most probable class: WBC, 93%". */
    fun summary(resources: Resources, result: ImageResult): String = when (result) {
        is Detections -> counts(resources, result)
        is Classification -> result.top(1).first().let { resources.getString(R.string.most_probable, it.label, percent(it.probability)) }
    }

    private fun counts(resources: Resources, detections: Detections): String {
        if (detections.isEmpty()) return resources.getString(R.string.no_objects)
        val counts = detections.groupingBy { it.label }.eachCount().entries.sortedByDescending { it.value }
        val listed = counts.joinToString(", ") { resources.getString(R.string.count_of_class, it.value, it.key) }
        return resources.getQuantityString(R.plurals.objects_found, detections.size, detections.size, listed)
    }

    fun timings(resources: Resources, timings: Timings, framesPerSecond: Float?): String {
        val split = resources.getString(R.string.timings, timings.preprocessMs, timings.inferenceMs, timings.postprocessMs)
        return if (framesPerSecond == null) split else split + "\n" + resources.getString(R.string.frames_per_second, framesPerSecond)
    }

    /** The engine in use, and the engines that were timed. */
    fun backend(resources: Resources, backend: Backend): String {
        val lines = arrayListOf(resources.getString(R.string.runs_on, engine(resources, backend.delegate, backend.threads)))
        backend.fallback?.let { lines += resources.getString(R.string.gpu_fallback, it) }
        for (trial in backend.trials) {
            val name = engine(resources, trial.delegate, trial.threads)
            val time = trial.medianMs
            lines += if (time != null) resources.getString(R.string.trial_time, name, time) else resources.getString(R.string.trial_failed, name, trial.problem)
        }
        return lines.joinToString("\n")
    }

    private fun engine(resources: Resources, delegate: Delegate, threads: Int): String =
        if (delegate == Delegate.GPU) resources.getString(R.string.gpu) else resources.getQuantityString(R.plurals.cpu_threads, threads, threads)
}
