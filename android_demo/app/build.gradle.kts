import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.tfyolo.demo"
    compileSdk = libs.versions.targetSdk.get().toInt()
    defaultConfig {
        applicationId = "org.tfyolo.demo"
        minSdk = libs.versions.minSdk.get().toInt()
        targetSdk = libs.versions.targetSdk.get().toInt()
        versionCode = libs.versions.versionCode.get().toInt()
        versionName = libs.versions.versionName.get()
        ndk { abiFilters += listOf("arm64-v8a", "armeabi-v7a", "x86_64") }
    }
    buildTypes {
        release {
            isMinifyEnabled = true
            isShrinkResources = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"), "proguard-rules.pro")
            // So that it installs; who publishes the app has a key of their own.
            signingConfig = signingConfigs.getByName("debug")
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
        targetCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
    }
    // Mapped into memory as they are.
    androidResources { noCompress += "tflite" }
    // Compressed in the APK, so that what people pass on is 3 MB smaller.
    packaging { jniLibs { useLegacyPackaging = true } }
    lint {
        checkDependencies = true
        // Versions are raised on purpose, in both builds at once.
        disable += listOf("AndroidGradlePluginVersion", "GradleDependency", "NewerVersionAvailable", "OldTargetApi")
    }
    testOptions.unitTests {
        isIncludeAndroidResources = true
        // They load TensorFlow Lite's library, which runs on a phone, or on Debian under `make test-android`.
        all { it.enabled = false }
    }
}

kotlin {
    compilerOptions.jvmTarget = JvmTarget.fromTarget(libs.versions.jvmTarget.get())
}

dependencies {
    implementation(project(":detector"))
    testImplementation(libs.junit)
    testImplementation(libs.kotlin.test)
    testImplementation(libs.robolectric)
}

val checkModels by tasks.registering {
    val models = layout.projectDirectory.dir("src/main/assets/models").asFile
    doLast {
        if (models.listFiles { file -> file.extension == "tflite" }.isNullOrEmpty()) {
            throw GradleException("$models has no model: run `make android-assets`, or copy there what `tfyolo export --include tflite` wrote")
        }
    }
}

tasks.named("preBuild") { dependsOn(checkModels) }
