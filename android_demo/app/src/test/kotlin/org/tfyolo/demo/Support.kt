package org.tfyolo.demo

import android.Manifest
import android.app.Activity
import android.app.Application
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.net.Uri
import android.os.Looper
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import java.io.ByteArrayInputStream
import java.io.File
import kotlin.test.assertNotNull
import kotlin.test.fail
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.tfyolo.demo.ui.OverlayView
import org.tfyolo.detector.Delegate
import org.tfyolo.detector.Detections

internal val app: Application get() = RuntimeEnvironment.getApplication()

/** A file written by tests/demo_models.py. */
internal fun demoModel(name: String): File = File(System.getProperty("demo.models") ?: error("`demo.models` names a folder"), name)

/** Select one engine, so that nothing is timed and every machine uses the same. */
internal fun useSingleThread() = Settings(app).run {
    threads = 1
    delegate = Delegate.CPU
}

internal fun grantCamera() = shadowOf(app).grantPermissions(Manifest.permission.CAMERA)

internal fun start(): ActivityController<MainActivity> = Robolectric.buildActivity(MainActivity::class.java).setup()

/** Process the events of the main thread (the test runs on it) until the condition holds; fails after 30 seconds. */
internal fun await(description: String, done: () -> Boolean) {
    val end = System.nanoTime() + 30_000_000_000
    while (!done()) {
        if (System.nanoTime() > end) fail("timed out waiting for $description")
        shadowOf(Looper.getMainLooper()).idle()
        Thread.sleep(5)
    }
}

internal val MainActivity.overlay: OverlayView get() = findViewById(R.id.overlay)

internal fun MainActivity.text(id: Int) = findViewById<TextView>(id).text.toString()

internal fun MainActivity.isShown(id: Int) = findViewById<View>(id).visibility == View.VISIBLE

/** The most recent intent that the activity started. */
internal fun MainActivity.started(): Intent = assertNotNull(shadowOf(this).nextStartedActivity)

internal fun MainActivity.answer(intent: Intent, uri: Uri) = shadowOf(this).receiveResult(intent, Activity.RESULT_OK, Intent().setData(uri))

internal fun register(name: String, bytes: ByteArray): Uri = Uri.parse("content://somewhere/$name").also {
    shadowOf(app.contentResolver).registerInputStreamSupplier(it) { ByteArrayInputStream(bytes) }
}

/** The displayed detections; null if there are none, or a classifier runs. */
internal val OverlayView.detections: Detections? get() = found?.result as? Detections

internal fun MainActivity.awaitDetections(previous: Detections? = null): Detections {
    await("detections") { overlay.detections != null && overlay.detections !== previous }
    return overlay.detections!!
}

/** Import a model written by tests/demo_models.py, as a user would. */
internal fun MainActivity.import(name: String) {
    models.onImportChosen()
    answer(started(), register(name, demoModel(name).readBytes()))
    await("the model") { (host.loaded?.model?.id == "file:$name") }
}

internal fun View.all(): Sequence<View> = sequence {
    yield(this@all)
    if (this@all is ViewGroup) for (i in 0 until childCount) yieldAll(getChildAt(i).all())
}

/** Render the activity at `width` x `height` pixels, and also save the screenshot. */
internal fun MainActivity.screenshot(name: String, width: Int, height: Int): Bitmap {
    val root = window.decorView
    root.measure(View.MeasureSpec.makeMeasureSpec(width, View.MeasureSpec.EXACTLY), View.MeasureSpec.makeMeasureSpec(height, View.MeasureSpec.EXACTLY))
    root.layout(0, 0, width, height)
    val image = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
    root.draw(Canvas(image))
    val folder = File(System.getProperty("shots.dir") ?: error("`shots.dir` names a folder")).apply { mkdirs() }
    File(folder, "$name.png").outputStream().use { image.compress(Bitmap.CompressFormat.PNG, 100, it) }
    return image
}
