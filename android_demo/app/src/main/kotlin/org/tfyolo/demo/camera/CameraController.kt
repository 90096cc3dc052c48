package org.tfyolo.demo.camera

import android.app.Activity
import android.media.Image
import org.tfyolo.demo.R
import org.tfyolo.demo.Settings
import org.tfyolo.demo.camera.CameraPermission.State
import org.tfyolo.demo.inference.ModelHost
import org.tfyolo.demo.ui.Stage

/**
 * Shows the live camera: asks for the permission, opens the camera, and passes its frames to the model.
 *
 * @param onNoCamera called if the device has no camera, before the message is shown.
 */
class CameraController(
    private val activity: Activity,
    private val settings: Settings,
    private val stage: Stage,
    private val host: ModelHost,
    private val onNoCamera: () -> Unit,
) : CameraSource.Listener {
    private val permission = CameraPermission(activity, settings)
    private val source = CameraSource(activity, host.handler, this)
    private val rotationListener = DisplayRotationListener(activity, ::updateRotation)

    /** Clockwise rotation in degrees that makes camera frames upright; read on the model's thread. */
    @Volatile
    private var rotation = 0

    /** The open camera; null while none is open. */
    @Volatile
    var info: CameraInfo? = null
        private set

    /** True while the camera is displayed, or will be as soon as it is open; false while an image is displayed. */
    var isShown = false
        private set

    val isPermitted: Boolean get() = permission.state == State.GRANTED

    init {
        stage.onTexture = { start() }
    }

    /** Show the camera in place of the image, or ask for the permission. */
    fun show() {
        when (permission.state) {
            State.GRANTED -> {
                isShown = true
                stage.hideMessage()
                stage.showCamera()
                stage.setCameraControls(source.canSwitch())
                start()
            }
            State.NOT_ASKED -> permission.ask()
            State.DENIED, State.PERMANENTLY_DENIED -> offer()
        }
    }

    /** An image is displayed instead. */
    fun hide() {
        isShown = false
        stop()
    }

    /** Ask for the permission; if the user has denied it before, show a message that offers it. */
    fun askOrOffer() {
        if (permission.state == State.NOT_ASKED) permission.ask() else offer()
    }

    /** Open the camera if it is displayed; does nothing if it is open. */
    fun start() {
        if (!isShown || permission.state != State.GRANTED || source.running) return
        stage.texture?.let { source.start(it, settings.frontCamera) }
    }

    fun stop() {
        source.stop()
        info = null
    }

    fun flip() {
        settings.frontCamera = !settings.frontCamera
        stop()
        start()
    }

    fun onActivityStart() = rotationListener.start()

    fun onActivityStop() {
        rotationListener.stop()
        stop()
    }

    fun onPermissionResult(request: Int, results: IntArray) {
        // Without results the dialog was interrupted, for example by a rotation.
        if (request != CameraPermission.REQUEST || results.isEmpty()) return
        permission.onAnswered()
        if (permission.state == State.GRANTED) show() else offer()
    }

    private fun offer() {
        if (permission.state == State.PERMANENTLY_DENIED) {
            stage.showMessage(activity.getString(R.string.camera_permanently_denied), activity.getString(R.string.open_settings), permission::openSettings)
        } else {
            stage.showMessage(activity.getString(R.string.camera_rationale), activity.getString(R.string.allow), permission::ask)
        }
    }

    override fun onCameraOpen(info: CameraInfo) {
        this.info = info
        stage.hideMessage()
        updateRotation()
    }

    private fun updateRotation() {
        val info = info ?: return
        val displayDegrees = stage.displayDegrees
        rotation = CameraGeometry.rotation(info.sensor, displayDegrees, info.front)
        stage.rotatePreview(info, displayDegrees)
    }

    override fun onFrame(image: Image) {
        val info = info ?: return image.close()
        host.run(image, rotation, info.front)
    }

    override fun onCameraProblem(problem: CameraProblem) {
        info = null
        val message = when (problem) {
            CameraProblem.NONE -> R.string.camera_none
            CameraProblem.IN_USE -> R.string.camera_in_use
            CameraProblem.DISABLED -> R.string.camera_disabled
            CameraProblem.FAILED -> R.string.camera_failed
        }
        if (problem == CameraProblem.NONE) onNoCamera()
        val retry = activity.getString(R.string.retry).takeIf { problem != CameraProblem.NONE }
        stage.showMessage(activity.getString(message), retry) { start() }
    }
}
